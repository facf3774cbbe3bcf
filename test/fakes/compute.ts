import type {
  ComputeReader,
  ComputeWatcher,
  ComputeWriter,
  LaunchClaims,
  RunTrace,
} from "../../model/ports/compute.ts";
import { CodedError } from "../../model/errors.ts";
import { logInstant } from "../../model/time/instant.ts";
import { hasEnded, type ContainerState, type ReplicaState } from "../../model/run/lifecycle.ts";
import type { LogLine } from "../../model/ports/log.ts";
import { textOf, type RunIdentity } from "../../model/run/identity.ts";
import type { RunRecord } from "../../model/run/run.ts";
import type { JobScript } from "../ports/compute.ts";

interface FakeJob {
  run: RunIdentity;
  container: ContainerState;
  hasPump: boolean;
  pump: ReplicaState["pump"];
  lines: LogLine[];
  timer: NodeJS.Timeout | undefined;
  /** Resolved with each change. */
  changed: PromiseWithResolvers<void>;
}

type Watching = (run: RunIdentity, state: ReplicaState) => Promise<void>;

/** A backend in memory; jobs do what their script says. */
export interface FakeCompute {
  reader: ComputeReader;
  writer: ComputeWriter;
  watcher: ComputeWatcher;
  scripts: Map<number, JobScript>;
  /** How often the job of a run was begun. */
  begins: Map<number, number>;
  /** Ends a job at once, as another user would with the engine's own tools. */
  kill(runId: number, exitCode: number): void;
}

/** As the contract of the port has it. */
const RELIST_MS = 60_000;
const REPLICA = 0;
const STOPPED_EXIT = 143;
const KILLED_EXIT = 137;

/** `usual` is what jobs do that have no script. */
export function createFakeCompute(claims: LaunchClaims, usual: JobScript = {}): FakeCompute {
  const scripts = new Map<number, JobScript>();
  const begins = new Map<number, number>();
  const jobs = new Map<number, FakeJob>();
  const provisioned = new Map<number, RunIdentity>();
  const watchers = new Set<Watching>();
  let attempts = 0;

  const now = (): string => logInstant(new Date().toISOString());
  const scriptOf = (runId: number): JobScript => scripts.get(runId) ?? usual;
  const stateOf = (job: FakeJob): ReplicaState => ({
    container: job.container,
    ...(job.pump === undefined ? {} : { pump: job.pump }),
  });
  const gone = (): ReplicaState => ({ container: { phase: "Gone" } });

  function tell(job: FakeJob): void {
    job.changed.resolve();
    job.changed = Promise.withResolvers();
    for (const watching of watchers) void watching(job.run, stateOf(job));
  }

  function end(runId: number, exitCode: number, pump: "Succeeded" | "Failed"): void {
    const job = jobs.get(runId);
    if (!job || hasEnded(job.container)) return;
    clearTimeout(job.timer);
    // Never the instant of the start, however short the job.
    const finishedAt = logInstant(new Date(Date.now() + 1).toISOString());
    job.container = { ...job.container, phase: "Exited", exitCode, finishedAt };
    if (job.hasPump) job.pump = { phase: pump };
    tell(job);
  }

  function begin(run: RunRecord): void {
    const { lines = [], forMs = 0, exitCode = 0 } = scriptOf(run.id);
    begins.set(run.id, (begins.get(run.id) ?? 0) + 1);
    const hasPump = Object.keys(run.job.buffers ?? {}).length > 0;
    const job: FakeJob = {
      run,
      container: { phase: "Running", startedAt: now() },
      hasPump,
      pump: hasPump ? { phase: "Running" } : undefined,
      lines: lines.map((line) => ({ at: now(), bytes: Buffer.from(`${line}\n`) })),
      timer: setTimeout(() => end(run.id, exitCode, "Succeeded"), forMs),
      changed: Promise.withResolvers(),
    };
    jobs.set(run.id, job);
    tell(job);
  }

  async function observe(run: RunRecord): Promise<ReplicaState> {
    const job = jobs.get(run.id);
    if (job) return stateOf(job);
    const claim = await claims.find(run, REPLICA);
    return !claim || (claim.state === "claimed" && claim.containerId === undefined)
      ? { container: { phase: "Unknown" } }
      : gone();
  }

  const writer: ComputeWriter = {
    async provision(run) {
      provisioned.set(run.id, run);
    },
    async launch(run) {
      attempts += 1;
      const attempt = `attempt${attempts}`;
      const claim = await claims.claim(run, REPLICA, attempt);
      if (!claim) return gone();
      if (claim.state !== "claimed" || claim.attempt !== attempt) return observe(run);
      if (scriptOf(run.id).isBroken)
        throw new CodedError("LaunchFailed", "The program '/no/such/program' is not there");
      if (!(await claims.recordContainer(run, REPLICA, attempt, `container-${run.id}`))) return observe(run);
      begin(run);
      await claims.recordLaunched(run, REPLICA, attempt);
      return observe(run);
    },
    async stop(run) {
      await claims.markRemoved(run, REPLICA);
      end(run.id, scriptOf(run.id).ignoresStop ? KILLED_EXIT : STOPPED_EXIT, "Failed");
      const job = jobs.get(run.id);
      return job ? stateOf(job) : gone();
    },
    observe,
    async remove(run) {
      await claims.markRemoved(run, REPLICA);
      end(run.id, KILLED_EXIT, "Failed");
      jobs.delete(run.id);
      provisioned.delete(run.id);
    },
    async survey() {
      const traces = new Map<string, RunTrace>();
      for (const { id, uid } of provisioned.values()) {
        const identity = { id, ...(uid !== undefined && { uid }) };
        traces.set(textOf(identity), { ...identity, containers: "None" });
      }
      for (const {
        run: { id, uid },
        container,
      } of jobs.values()) {
        const identity = { id, ...(uid !== undefined && { uid }) };
        const found = hasEnded(container)
          ? { containers: "Ended" as const }
          : { containers: "Executing" as const, endCommand: `end ${id}` };
        traces.set(textOf(identity), { ...identity, ...found });
      }
      return [...traces.values()];
    },
  };

  const reader: ComputeReader = {
    hasImage: async () => true,
    hasGpu: async () => false,
    async *logs(run, { follow, tailLines, since }, signal) {
      const job = jobs.get(run.id);
      if (!job) return;
      const later = since === undefined ? job.lines : job.lines.filter(({ at }) => at > logInstant(since));
      yield tailLines === undefined ? later : later.slice(Math.max(0, later.length - tailLines));
      if (!follow) return;
      const aborted = untilAborted(signal);
      while (!hasEnded(job.container) && !signal.aborted) await Promise.race([job.changed.promise, aborted]);
    },
  };

  const watcher: ComputeWatcher = {
    async watch(report, signal) {
      watchers.add(report);
      const list = async (): Promise<void> => {
        for (const job of jobs.values()) await report(job.run, stateOf(job));
      };
      await list();
      const relisting = setInterval(() => void list(), RELIST_MS);
      await untilAborted(signal);
      clearInterval(relisting);
      watchers.delete(report);
    },
  };

  return { reader, writer, watcher, scripts, begins, kill: (runId, exitCode) => end(runId, exitCode, "Failed") };
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve());
  });
}
