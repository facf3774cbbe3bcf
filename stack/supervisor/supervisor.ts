import { rmSync } from "node:fs";
import { messageOf } from "../../model/errors.ts";
import { controlSocketOf, serveControl, type StackView } from "./control.ts";
import { engineAt } from "../docker/docker-engine.ts";
import { reviveDockerd } from "../docker/dockerd.ts";
import { claimEngine, stackNameOf } from "../docker/engine-claims.ts";
import { KeptProcess } from "./kept-process.ts";
import { tryLock } from "../host/lock.ts";
import { endRecorded, writeProcessRecord } from "./process-record.ts";
import { identify } from "../host/processes.ts";
import type { ProcessSpec } from "./process-spec.ts";
import type { StackSettings } from "./settings.ts";

/** Between two looks at what failed and may work by now. */
const CARE_MS = 2000;
/** More than an `up` waits, which stops a stack that does not get ready; after this it was killed. */
const START_MS = 150_000;

/** What is kept and how it is shown, apart from where it comes from; tests give processes of their own. */
export interface Supervised {
  settings: Pick<StackSettings, "version" | "paths" | "dockerHost" | "path">;
  webUi?: string | undefined;
  given?: StackView["given"];
  /** Each list starts when all of the one before are ready, and ends before it. */
  stages: readonly (readonly ProcessSpec[])[];
  log: (line: string) => void;
  /** Until all processes were ready once. */
  startWithinMs?: number;
}

/**
 * Keeps the processes of one stack running until it is told to stop, by its socket or by `stop()`. It stops by itself
 * only when they do not get ready at first: a stack that has come up is nobody's but its supervisor's.
 * @throws Error when another supervisor keeps the same stack.
 */
export async function supervise({
  settings,
  webUi,
  given,
  stages,
  log,
  startWithinMs = START_MS,
}: Supervised): Promise<{ ended: Promise<void>; stop(): Promise<void> }> {
  const { stateDir, runtimeDir, apiSocket } = settings.paths;
  const controlSocket = controlSocketOf(runtimeDir);
  const held = await tryLock(`supervisor-${stackNameOf(settings.paths)}`);
  if (!held) throw new Error(`Another supervisor keeps the stack of '${settings.paths.dataDir}'`);
  const claim = await claimEngine(engineAt(settings.dockerHost), stackNameOf(settings.paths));
  const left = await endRecorded(stateDir);
  if (left.length > 0) log(`ended what an earlier supervisor left running: ${left.join(", ")}`);

  let isRecorded = false;
  const record = () => {
    const alive = kept.flat().flatMap(({ one, spec }) => {
      const { identity } = one;
      return identity ? [[spec.name, { ...identity, stopSignal: spec.stopSignal }] as const] : [];
    });
    const processes = Object.fromEntries(alive);
    // A full disk is no reason to forget a process that has just been started, and to start another one.
    try {
      writeProcessRecord(stateDir, { controlSocket, supervisor: self, processes });
      isRecorded = true;
    } catch (err) {
      isRecorded = false;
      log(`the processes cannot be put on record: ${messageOf(err)}`);
    }
  };
  const self = identify(process.pid) ?? { pid: process.pid, startTime: "", bootId: "" };
  const kept = stages.map((specs) =>
    specs.map((spec) => ({ spec, one: new KeptProcess(spec, { onChange: record, log }) })),
  );
  record();

  const view = (): StackView => {
    const processes = kept.flat().map(({ one }) => one.view());
    return {
      version: settings.version,
      pid: process.pid,
      isReady: processes.every(({ state }) => state === "ready"),
      ...(webUi && { webUi }),
      ...(given && { given }),
      dockerHost: settings.dockerHost,
      apiSocket,
      processes,
    };
  };

  const ended = Promise.withResolvers<void>();
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= end().then(ended.resolve, ended.reject));
  const end = async () => {
    clearInterval(caring);
    clearTimeout(givingUp);
    for (const stage of kept.toReversed()) await Promise.all(stage.map(({ one }) => one.stop()));
    rmSync(controlSocket, { force: true });
    await claim[Symbol.asyncDispose]();
    await held[Symbol.asyncDispose]();
  };
  const caring = setInterval(() => {
    if (!isRecorded) record();
    void reviveDockerd(settings.path, log);
  }, CARE_MS);

  const givingUp = setTimeout(() => {
    log(`not all processes were ready within ${startWithinMs / 1000} s; stopping`);
    void stop();
  }, startWithinMs);

  rmSync(controlSocket, { force: true });
  const server = await serveControl(controlSocket, async (op) => {
    if (op === "stop") await stop();
    return view();
  });
  void ended.promise.finally(() => server.close()).catch(() => {});
  void startInOrder(kept.map((stage) => stage.map(({ one }) => one))).then(
    () => {
      clearTimeout(givingUp);
      log("all processes are ready");
    },
    () => {},
  );
  return { ended: ended.promise, stop };
}

async function startInOrder(stages: KeptProcess[][]): Promise<void> {
  for (const stage of stages) await Promise.all(stage.map((one) => one.start()));
}
