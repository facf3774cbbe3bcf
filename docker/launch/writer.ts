import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { base32 } from "../../model/buffer/buffer.ts";
import type { ComputeWriter, LaunchClaim, LaunchClaims } from "../../model/ports/compute.ts";
import { CodedError } from "../../model/errors.ts";
import type { PumpState, ReplicaState } from "../../model/run/lifecycle.ts";
import { LABEL_INSTALLATION, LABEL_RUN, containerNameOf } from "../../model/run/names.ts";
import type { RunRecord } from "../../model/run/run.ts";
import {
  attemptFolderOf,
  attemptFoldersOf,
  fenceFolder,
  findFolder,
  isThere,
  makeAttemptFolder,
  removeFolder,
  runFolderOf,
  runsWithFolders,
  unfenceFolder,
} from "./attempt-folder.ts";
import { createOptionsOf, LABEL_ATTEMPT, pipesOf } from "./container-spec.ts";
import { containerStateOf, isContainerOf, wasStarted } from "./container-state.ts";
import { EngineRefusal } from "../engine/engine-call.ts";
import { connectEngine, type ContainerInfo } from "../engine/engine.ts";
import { endPump, pumpStateOf } from "../pump/pump-link.ts";
import { startPump, type PumpCommandLine } from "../pump/pump-process.ts";
import { settleAll } from "../../waiting/bounded.ts";

export interface DockerWriterOptions {
  installationId: string;
  claims: LaunchClaims;
  /** Holds a folder for each run. */
  runsDir: string;
  /** The filesystem store, in which pumps find the buffers. */
  storeDir: string;
  pumpCommand: PumpCommandLine;
  dockerHost?: string | undefined;
  /** Between SIGTERM and SIGKILL. Short: many programs ignore SIGTERM as process 1. */
  stopGraceSeconds?: number;
}

/** A Docker run has one replica. */
const REPLICA = 0;
/** How long a pump may take to end its buffers once its job is over. */
const PUMP_END_MS = 5000;
const ABANDON_MS = 1000;
/** A pump answers a stop at once; one that is suspended must not hold up the end of its job. */
const STOP_HEARD_MS = 1000;
/** How often a name may turn out to be taken by what an earlier attempt left. */
const MAX_CREATES = 5;

const NEVER_STARTED = "The run was ended before its container was started";
const RUNNING_PUMP: PumpState = { phase: "Running" };

/** Launches, stops and removes the containers and pumps of an installation's runs. */
export function createDockerWriter(options: DockerWriterOptions): ComputeWriter {
  const { installationId, claims, runsDir, storeDir, pumpCommand, dockerHost, stopGraceSeconds = 1 } = options;
  const engine = connectEngine(dockerHost);
  let gpu: ReturnType<typeof engine.gpu> | undefined;

  const folderOf = (run: RunRecord, attempt: string): string => attemptFolderOf(runsDir, run.id, attempt);

  /** The container of the run, by the id in its claim or else by name; one that is not ours does not count. */
  async function findContainer(run: RunRecord, claim: LaunchClaim | undefined): Promise<ContainerInfo | undefined> {
    const info = await engine.inspect(claim?.containerId ?? containerNameOf(installationId, run.id));
    return info && isContainerOf(info, installationId, run.id) ? info : undefined;
  }

  async function observe(run: RunRecord): Promise<ReplicaState> {
    const claim = await claims.find(run.id, REPLICA);
    const info = await findContainer(run, claim);
    if (info) return replicaOf(run, info);
    const mayCome = !claim || (claim.state === "claimed" && claim.containerId === undefined);
    const pump = pipesOf(run).length > 0 ? { pump: mayCome ? RUNNING_PUMP : await pumpOfGone(run, claim) } : {};
    if (mayCome) return { container: { phase: "Unknown" }, ...pump };
    return claim.containerId === undefined ? notStarted() : { container: containerStateOf(undefined), ...pump };
  }

  async function replicaOf(run: RunRecord, info: ContainerInfo): Promise<ReplicaState> {
    const container = containerStateOf(info);
    if (pipesOf(run).length === 0) return { container };
    if (!wasStarted(info)) return { container, pump: RUNNING_PUMP };
    const folder = await findFolder(folderOf(run, attemptOf(info)));
    return { container, pump: await pumpStateOf(folder ?? folderOf(run, attemptOf(info))) };
  }

  const pumpOfGone = async (run: RunRecord, claim: LaunchClaim): Promise<PumpState> =>
    pumpStateOf((await findFolder(folderOf(run, claim.attempt))) ?? folderOf(run, claim.attempt));

  /** Fences a late start of `attempt` unless it was started already, and tells which it is. */
  async function fence(run: RunRecord, claim: LaunchClaim): Promise<ContainerInfo | undefined> {
    const seen = await findContainer(run, claim);
    let info = seen;
    if (!seen || !wasStarted(seen)) {
      const folder = folderOf(run, seen ? attemptOf(seen) : claim.attempt);
      await Promise.all([fenceFolder(folder), fenceFolder(folderOf(run, claim.attempt))]);
      // The engine answers this only after a start that is under way: from here on it is the truth.
      info = await findContainer(run, claim);
    }
    if (info && wasStarted(info)) await unfenceFolder(folderOf(run, attemptOf(info)));
    return info;
  }

  /** Undoes an attempt that never started anything. */
  async function discard(run: RunRecord, attempt: string, container: string | undefined): Promise<void> {
    if (container !== undefined) await engine.remove(container, { force: false });
    const folder = await findFolder(folderOf(run, attempt));
    if (folder === undefined) return;
    if (pipesOf(run).length > 0) await endPump(folder, { command: "abandon" }, ABANDON_MS);
    await removeFolder(folder);
  }

  /** True when the unlaunched claim of an earlier attempt has become ours and nothing was started under it. */
  async function takeOver(run: RunRecord, claim: LaunchClaim, attempt: string): Promise<boolean> {
    const seen = await fence(run, claim);
    if (seen && wasStarted(seen)) {
      await adopt(run, claim.attempt, seen);
      return false;
    }
    if (!seen && claim.containerId !== undefined) return false;
    if (!(await claims.takeOver(run.id, REPLICA, claim.attempt, attempt))) return false;
    // Only now is no further container recorded for that attempt: one that was made since the first fence shows here.
    const info = await fence(run, seen ? { ...claim, containerId: seen.Id } : claim);
    if (info && wasStarted(info)) {
      await adopt(run, attempt, info);
      return false;
    }
    await discard(run, claim.attempt, info?.Id);
    if (info && attemptOf(info) !== claim.attempt) await discard(run, attemptOf(info), undefined);
    return true;
  }

  async function adopt(run: RunRecord, attempt: string, info: ContainerInfo): Promise<void> {
    await claims.recordContainer(run.id, REPLICA, attempt, info.Id);
    await claims.recordLaunched(run.id, REPLICA, attempt);
  }

  /** Makes the container; undefined when one of this run turned up that was started already. */
  async function create(run: RunRecord, attempt: string): Promise<string | undefined> {
    const name = containerNameOf(installationId, run.id);
    gpu ??= engine.gpu();
    const { runtimeWithout } = await gpu.catch((err: unknown) => {
      gpu = undefined;
      throw err;
    });
    const folder = folderOf(run, attempt);
    const spec = createOptionsOf(run, { installationId, attempt, folder, runtimeWithoutGpu: runtimeWithout });
    for (let tries = 1; ; tries++) {
      try {
        return await engine.create(name, spec);
      } catch (err) {
        if (!(err instanceof EngineRefusal) || err.statusCode !== 409 || tries === MAX_CREATES) throw err;
      }
      // We hold the claim, so what has our name is what an attempt before us left behind.
      const other = await engine.inspect(name);
      if (!other) continue;
      if (!isContainerOf(other, installationId, run.id)) {
        throw new CodedError("LaunchFailed", `The container name '${name}' is taken by one that is not ours`);
      }
      const stale = { runId: run.id, replica: REPLICA, attempt: attemptOf(other), containerId: other.Id } as const;
      const fenced = await fence(run, { ...stale, state: "claimed" });
      if (fenced && wasStarted(fenced)) {
        await adopt(run, attempt, fenced);
        return undefined;
      }
      await discard(run, stale.attempt, fenced?.Id);
    }
  }

  /** Carries out an attempt that holds the claim. */
  async function execute(run: RunRecord, attempt: string): Promise<ReplicaState> {
    const folder = folderOf(run, attempt);
    const pipes = pipesOf(run);
    let container: string | undefined;
    try {
      await makeAttemptFolder(folder, { runId: run.id, buffers: { storeDir }, pipes });
      const [created] = await settleAll([create(run, attempt), pipes.length > 0 && startPump(pumpCommand, folder)]);
      container = created;
      if (container === undefined || !(await claims.recordContainer(run.id, REPLICA, attempt, container))) {
        await discard(run, attempt, container);
        return await observe(run);
      }
      await engine.start(container);
    } catch (err) {
      const isFinal = err instanceof EngineRefusal || (err instanceof CodedError && err.code !== "Unavailable");
      const claim = await claims.find(run.id, REPLICA);
      const isOurs = claim?.attempt === attempt && claim.state === "claimed" && (await isThere(folder));
      // Without an answer nobody knows whether it started: the next attempt fences and looks.
      if (isOurs && !isFinal) throw err;
      await discard(run, attempt, container);
      if (!isOurs) return observe(run);
      if (!(err instanceof EngineRefusal)) throw err;
      throw new CodedError("LaunchFailed", wordsOf(err, run), { cause: err });
    }
    await claims.recordLaunched(run.id, REPLICA, attempt);
    const info = await engine.inspect(container);
    return info ? replicaOf(run, info) : observe(run);
  }

  /** Ends the pump of a job that is over; `stop` is what it has been told when the job did not end by itself. */
  async function settlePump(folder: string, wasStopped: boolean): Promise<PumpState> {
    const steps = wasStopped ? (["stop"] as const) : (["jobEnded", "stop"] as const);
    for (const command of steps) {
      const state = await endPump(folder, { command }, PUMP_END_MS);
      if (state.phase !== "Running") return state;
    }
    return { phase: "Failed", message: "The pump of the buffers did not end in time" };
  }

  return {
    async provision(run) {
      // Closed: the engine's mount leads into the pipes, other users of the machine find no way there.
      await mkdir(runFolderOf(runsDir, run.id), { recursive: true, mode: 0o700 });
    },

    async launch(run) {
      const attempt = base32(randomBytes(10));
      const claim = await claims.claim(run.id, REPLICA, attempt);
      if (!claim) return notStarted();
      const isOurs = claim.attempt === attempt;
      if (claim.state !== "claimed" || (!isOurs && !(await takeOver(run, claim, attempt)))) return observe(run);
      return execute(run, attempt);
    },

    async stop(run) {
      const claim = await claims.markRemoved(run.id, REPLICA);
      const info = claim ? await fence(run, claim) : await findContainer(run, undefined);
      if (!info || !wasStarted(info)) {
        await discard(run, claim?.attempt ?? "", info?.Id);
        return claim?.containerId !== undefined && !info ? observe(run) : notStarted();
      }
      const folder = folderOf(run, attemptOf(info));
      const hasPump = pipesOf(run).length > 0;
      // The pump has heard it before the job is killed: the end of a killed job's pipe must not pass for the end of its
      // output, and the watcher, which tells the pump that the job has ended, may be quicker than we are.
      if (info.State.Running && hasPump) await endPump(folder, { command: "stop" }, STOP_HEARD_MS);
      if (info.State.Running) await engine.stop(info.Id, stopGraceSeconds);
      const container = containerStateOf(await engine.inspect(info.Id));
      return hasPump ? { container, pump: await settlePump(folder, info.State.Running) } : { container };
    },

    observe,

    async remove(run) {
      await claims.markRemoved(run.id, REPLICA);
      const ours = await engine.list({ [LABEL_INSTALLATION]: installationId, [LABEL_RUN]: String(run.id) });
      await Promise.all(ours.map(({ Id }) => engine.remove(Id, { force: true })));
      const folders = pipesOf(run).length > 0 ? await attemptFoldersOf(runsDir, run.id) : [];
      await Promise.all(folders.map((folder) => endPump(folder, { command: "stop" }, ABANDON_MS)));
      await removeFolder(runFolderOf(runsDir, run.id));
    },

    async leftovers() {
      const containers = await engine.list({ [LABEL_INSTALLATION]: installationId });
      const labelled = containers.map(({ Labels }) => Number(Labels[LABEL_RUN]));
      return [...new Set([...labelled, ...(await runsWithFolders(runsDir))])].sort((a, b) => a - b);
    },
  };
}

const attemptOf = (info: ContainerInfo): string => info.Config.Labels[LABEL_ATTEMPT] ?? "";

const notStarted = (): ReplicaState => ({ container: { phase: "Gone", message: NEVER_STARTED } });

function wordsOf(refusal: EngineRefusal, run: RunRecord): string {
  const { image } = run.job.codespec;
  if (/no such image/i.test(refusal.message)) return `The image '${image}' is not on the host of the engine any more`;
  const [, program] = /exec: "(.+?)": .*(?:not found|no such file)/.exec(refusal.message) ?? [];
  if (program !== undefined) return `The program '${program}' is not in the image '${image}': ${refusal.message}`;
  return `The container could not be started: ${refusal.message}`;
}
