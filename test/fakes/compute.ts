import type {
  ComputeReader,
  ComputeWatcher,
  ComputeWriter,
  LaunchClaims,
  ReplicaHearer,
  RunTrace,
  SeenReplica,
} from "../../model/ports/compute.ts";
import { CodedError } from "../../model/errors.ts";
import { logInstant } from "../../model/time/instant.ts";
import { interleaved, lastOf, mergedByTime } from "../../model/log/merged-log.ts";
import { hasEnded, type ContainerState, type ReplicaState } from "../../model/run/lifecycle.ts";
import type { LogLine, LogLines, LogQuery } from "../../model/ports/log.ts";
import { textOf, type RunIdentity } from "../../model/run/identity.ts";
import { indexesOf } from "../../model/run/replicas.ts";
import type { RunRecord } from "../../model/run/run.ts";
import type { JobScript } from "../ports/compute.ts";

interface FakeJob {
  run: RunIdentity;
  replica: number;
  count: number;
  container: ContainerState;
  hasPump: boolean;
  pump: ReplicaState["pump"];
  lines: LogLine[];
  timer: NodeJS.Timeout | undefined;
  /** Resolved with each change. */
  changed: PromiseWithResolvers<void>;
}

/** A backend in memory; jobs do what their script says. */
export interface FakeCompute {
  reader: ComputeReader;
  writer: ComputeWriter;
  watcher: ComputeWatcher;
  scripts: Map<number, JobScript>;
  /** How often a job of a run was begun. */
  begins: Map<number, number>;
  /** Ends the job of the first replica at once, as another user would with the engine's own tools. */
  kill(runId: number, exitCode: number): void;
}

/** As the contract of the port has it. */
const RELIST_MS = 60_000;
const STOPPED_EXIT = 143;
const KILLED_EXIT = 137;

const keyOf = ({ id }: RunIdentity, replica: number): string => `${id} ${replica}`;

/** `usual` is what jobs do that have no script. */
export function createFakeCompute(claims: LaunchClaims, usual: JobScript = {}): FakeCompute {
  const scripts = new Map<number, JobScript>();
  const begins = new Map<number, number>();
  const jobs = new Map<string, FakeJob>();
  const provisioned = new Map<number, RunRecord>();
  const watchers = new Set<ReplicaHearer>();
  let attempts = 0;

  const now = (): string => logInstant(new Date().toISOString());
  const scriptOf = (runId: number): JobScript => scripts.get(runId) ?? usual;
  const stateOf = (job: FakeJob): ReplicaState => ({
    container: job.container,
    ...(job.pump === undefined ? {} : { pump: job.pump }),
  });
  const seenOf = (job: FakeJob): SeenReplica => ({ index: job.replica, count: job.count, state: stateOf(job) });
  const gone = (): ReplicaState => ({ container: { phase: "Gone" } });
  const jobsOf = (run: RunRecord): FakeJob[] =>
    indexesOf(run.replicaCount).flatMap((replica) => jobs.get(keyOf(run, replica)) ?? []);

  function tell(job: FakeJob): void {
    job.changed.resolve();
    job.changed = Promise.withResolvers();
    for (const watching of watchers) void watching(job.run, seenOf(job));
  }

  function end(job: FakeJob | undefined, exitCode: number, pump: "Succeeded" | "Failed"): void {
    if (!job || hasEnded(job.container)) return;
    clearTimeout(job.timer);
    // Never the instant of the start, however short the job.
    const finishedAt = logInstant(new Date(Date.now() + 1).toISOString());
    job.container = { ...job.container, phase: "Exited", exitCode, finishedAt };
    if (job.hasPump) job.pump = { phase: pump };
    tell(job);
  }

  function begin(run: RunRecord, replica: number): void {
    const { lines = [], forMs = 0, exitCode = 0, exitCodes = {}, failsAfterMs } = scriptOf(run.id);
    const ownExit = exitCodes[replica];
    const lastsMs = ownExit === undefined ? forMs : (failsAfterMs ?? forMs);
    begins.set(run.id, (begins.get(run.id) ?? 0) + 1);
    const hasPump = Object.keys(run.job.buffers ?? {}).length > 0;
    const prefix = run.replicaCount === 1 ? "" : `[job-${replica}] `;
    const job: FakeJob = {
      run,
      replica,
      count: run.replicaCount,
      container: { phase: "Running", startedAt: now() },
      hasPump,
      pump: hasPump ? { phase: "Running" } : undefined,
      lines: lines.map((line) => ({ at: now(), bytes: Buffer.from(`${prefix}${line}\n`) })),
      timer: setTimeout(() => end(job, ownExit ?? exitCode, "Succeeded"), lastsMs),
      changed: Promise.withResolvers(),
    };
    jobs.set(keyOf(run, replica), job);
    tell(job);
  }

  async function observe(run: RunRecord, replica: number): Promise<ReplicaState> {
    const job = jobs.get(keyOf(run, replica));
    if (job) return stateOf(job);
    const claim = await claims.find(run, replica);
    return !claim || (claim.state === "claimed" && claim.containerId === undefined)
      ? { container: { phase: "Unknown" } }
      : gone();
  }

  const writer: ComputeWriter = {
    async provision(run) {
      provisioned.set(run.id, run);
    },
    async launch(run, replica) {
      attempts += 1;
      const attempt = `attempt${attempts}`;
      const claim = await claims.claim(run, replica, attempt);
      if (!claim) return gone();
      if (claim.state !== "claimed" || claim.attempt !== attempt) return observe(run, replica);
      if (scriptOf(run.id).isBroken)
        throw new CodedError("LaunchFailed", "The program '/no/such/program' is not there");
      const id = `container-${run.id}-${replica}`;
      if (!(await claims.recordContainer(run, replica, attempt, id))) return observe(run, replica);
      begin(run, replica);
      await claims.recordLaunched(run, replica, attempt);
      return observe(run, replica);
    },
    async stop(run, replica) {
      await claims.markRemoved(run, replica);
      const job = jobs.get(keyOf(run, replica));
      end(job, scriptOf(run.id).ignoresStop ? KILLED_EXIT : STOPPED_EXIT, "Failed");
      return job ? stateOf(job) : gone();
    },
    observe,
    async remove(run) {
      for (const replica of indexesOf(run.replicaCount)) {
        await claims.markRemoved(run, replica);
        end(jobs.get(keyOf(run, replica)), KILLED_EXIT, "Failed");
        jobs.delete(keyOf(run, replica));
      }
      provisioned.delete(run.id);
    },
    async survey() {
      const traces = new Map<string, RunTrace>();
      for (const run of provisioned.values()) {
        const { id, uid } = run;
        const identity = { id, ...(uid !== undefined && { uid }) };
        traces.set(textOf(identity), { ...identity, ...traceOf(id, jobsOf(run)) });
      }
      return [...traces.values()];
    },
  };

  const reader: ComputeReader = {
    hasImage: async () => true,
    hasGpu: async () => false,
    async *logs(run, query, signal) {
      const logs = jobsOf(run).map((job) => logOf(job, query, signal));
      const lines = query.follow ? interleaved(logs) : mergedByTime(logs);
      if (query.tailLines === undefined || query.follow) yield* lines;
      else yield await lastOf(query.tailLines, lines);
    },
  };

  const watcher: ComputeWatcher = {
    async watch(report, signal) {
      watchers.add(report);
      const list = async (): Promise<void> => {
        for (const job of jobs.values()) await report(job.run, seenOf(job));
      };
      await list();
      const relisting = setInterval(() => void list(), RELIST_MS);
      await untilAborted(signal);
      clearInterval(relisting);
      watchers.delete(report);
    },
  };

  const kill = (id: number, exitCode: number): void => end(jobs.get(keyOf({ id }, 0)), exitCode, "Failed");
  return { reader, writer, watcher, scripts, begins, kill };
}

function traceOf(id: number, jobs: readonly FakeJob[]): Omit<RunTrace, "id" | "uid"> {
  const started = jobs.length;
  const ended = jobs.filter(({ container }) => hasEnded(container)).length;
  if (started === 0) return { containers: "None", started };
  if (ended === started) return { containers: "Ended", started };
  return { containers: ended === 0 ? "Executing" : "Partly", started, endCommand: `end ${id}` };
}

async function* logOf(job: FakeJob, { follow, tailLines, since }: LogQuery, signal: AbortSignal): LogLines {
  const later = since === undefined ? job.lines : job.lines.filter(({ at }) => at > logInstant(since));
  yield tailLines === undefined ? later : later.slice(Math.max(0, later.length - tailLines));
  if (!follow) return;
  const aborted = untilAborted(signal);
  while (!hasEnded(job.container) && !signal.aborted) await Promise.race([job.changed.promise, aborted]);
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve());
  });
}
