import { rmSync } from "node:fs";
import { messageOf } from "../../model/errors.ts";
import { controlSocketOf, serveControl, type StackView } from "./control.ts";
import { engineAt } from "../docker/docker-engine.ts";
import { reviveDockerd } from "../docker/dockerd.ts";
import { claimEngine, stackNameOf } from "../docker/engine-claims.ts";
import { KeptProcess } from "./kept-process.ts";
import { tryLock } from "../../waiting/kernel-lock.ts";
import { endRecorded, writeProcessRecord } from "./process-record.ts";
import { identify } from "../host/processes.ts";
import type { ProcessSpec } from "./process-spec.ts";
import type { StackSettings } from "./settings.ts";

/** Interval for retrying what failed earlier. */
const CARE_MS = 2000;
/** Longer than `up` waits before it stops a stack that does not get ready; so `up` was killed. */
const START_MS = 150_000;

/** Independent of the origin of the settings, so that tests can pass processes of their own. */
export interface Supervised {
  settings: Pick<StackSettings, "version" | "paths" | "dockerHost" | "clusters" | "kubernetes" | "stores" | "path">;
  webUi?: string | undefined;
  temporal?: string | undefined;
  given?: StackView["given"];
  /** Each list starts when the list before it is ready, and stops before it. */
  stages: readonly (readonly ProcessSpec[])[];
  log: (line: string) => void;
  /** Time for all processes to become ready once. */
  startWithinMs?: number;
}

/**
 * Keeps the processes of one stack running until its socket or `stop()` tells it to stop. It stops on its own only if they
 * do not become ready at the start.
 * @throws Error if another supervisor is running the same stack.
 */
export async function supervise({
  settings,
  webUi,
  temporal,
  given,
  stages,
  log,
  startWithinMs = START_MS,
}: Supervised): Promise<{ ended: Promise<void>; stop(): Promise<void> }> {
  const { stateDir, runtimeDir, apiSocket } = settings.paths;
  const controlSocket = controlSocketOf(runtimeDir);
  const held = await tryLock(`supervisor-${stackNameOf(settings.paths)}`);
  if (!held) throw new Error(`Another supervisor is already running the stack of '${settings.paths.dataDir}'`);
  const hosts = new Set(settings.clusters.map(({ dockerHost }) => dockerHost));
  const claims = await Promise.all([...hosts].map((host) => claimEngine(engineAt(host), stackNameOf(settings.paths))));
  const left = await endRecorded(stateDir);
  if (left.length > 0) log(`ended processes left by an earlier supervisor: ${left.join(", ")}`);

  let isRecorded = false;
  const record = () => {
    const alive = kept.flat().flatMap(({ one, spec }) => {
      const { identity } = one;
      return identity ? [[spec.name, { ...identity, stopSignal: spec.stopSignal }] as const] : [];
    });
    const processes = Object.fromEntries(alive);
    // On a full disk the process that was just started must not be forgotten and started again.
    try {
      writeProcessRecord(stateDir, { controlSocket, supervisor: self, processes });
      isRecorded = true;
    } catch (err) {
      isRecorded = false;
      log(`could not record the processes: ${messageOf(err)}`);
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
      ...(temporal && { temporal }),
      ...(given && { given }),
      dockerHost: settings.dockerHost,
      clusters: settings.clusters,
      stores: settings.stores,
      kubernetes: settings.kubernetes,
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
    for (const claim of claims) await claim[Symbol.asyncDispose]();
    await held[Symbol.asyncDispose]();
  };
  const caring = setInterval(() => {
    if (!isRecorded) record();
    reviveDockerd(settings.path, log).catch((err: unknown) => log(`the Docker engine: ${messageOf(err)}`));
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
