import type { RunActivityPorts } from "../../activities/run.ts";
import { END_BLOB } from "../../buffers/format/buffer-format.ts";
import { LOCAL } from "../../model/buffer/location.ts";
import { CodedError } from "../../model/errors.ts";
import type { RunTrace } from "../../model/ports/compute.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import type { ReplicaStates } from "../../model/run/replicas.ts";
import type { StartedRun } from "../../model/run/argument.ts";
import type { ClusterRunRecords } from "../../model/ports/records.ts";

/** The facts with which the workflow of a run is started that no database knows. */
export const unknownRun: Omit<StartedRun, "id"> = {
  createdAt: "2026-01-01T00:00:00+00:00",
  timeoutSeconds: 3600,
  cluster: "docker",
  replicaCount: 1,
  job: { codespec: { kind: "job", image: "image" } },
};

const nameOf = ({ id }: RunIdentity, replica: number): string => (replica === 0 ? `${id}` : `${id}-${replica}`);

/** A backend that does what the test says and remembers what it was asked. */
export interface FakeRunPorts extends RunActivityPorts {
  /** `launch 7`, `stop 7`, `archive 7`, `remove 7`, in order; of further replicas `launch 7-1`, `stop 7-1`. */
  calls: string[];
  /** Ids of buffers that got an end mark. */
  marks: string[];
  /** Facts and messages of what was logged. */
  warnings: object[];
  /** Thrown by the next launches, first first. */
  launchErrors: CodedError[];
  archiveErrors: CodedError[];
  /** The engine's view of each run, and of its replicas from the first; an error for others. */
  observed: Map<number, ReplicaState | ReplicaStates>;
  /** The engine still has these. */
  traces: RunTrace[];
}

export function createFakeRunPorts(
  runs: ClusterRunRecords,
  options: { maxLiveRuns: number; offerSlot(runId: number): Promise<void> },
): FakeRunPorts {
  const refuse = (): never => {
    throw new Error("not expected by this test");
  };
  const fake: FakeRunPorts = {
    calls: [],
    marks: [],
    warnings: [],
    launchErrors: [],
    archiveErrors: [],
    observed: new Map(),
    traces: [],
    runs,
    maxLiveRuns: options.maxLiveRuns,
    hasSearchAttributes: async () => true,
    workflows: {
      async offerSlots(runIds) {
        for (const runId of runIds) await options.offerSlot(runId).catch(() => undefined);
      },
    },
    compute: {
      provision: async () => undefined,
      async launch(run, replica) {
        fake.calls.push(`launch ${nameOf(run, replica)}`);
        const error = fake.launchErrors.shift();
        if (error) throw error;
        return { container: { phase: "Running", startedAt: new Date().toISOString() } };
      },
      async stop(run, replica) {
        fake.calls.push(`stop ${nameOf(run, replica)}`);
        const [seen] = [fake.observed.get(run.id) ?? []].flat().slice(replica);
        if (seen?.container.phase === "Gone") return seen;
        return { container: { phase: "Exited", exitCode: 137, finishedAt: new Date().toISOString() } };
      },
      observe: async (run, replica) => [fake.observed.get(run.id) ?? []].flat()[replica] ?? refuse(),
      async remove(run) {
        fake.calls.push(`remove ${run.id}`);
      },
      survey: async () => fake.traces,
    },
    logs: {
      async *logs() {
        yield [];
      },
    },
    archive: {
      async write(run) {
        fake.calls.push(`archive ${run.id}`);
        const error = fake.archiveErrors.shift();
        if (error) throw error;
        return LOCAL;
      },
    },
    // Buffers in which no blob is ever found.
    store: {
      async put(bufferId, path) {
        if (path === END_BLOB) fake.marks.push(bufferId);
        return { sizeBytes: 0, contentMd5: "", metadata: {} };
      },
      async head() {
        throw new CodedError("BlobNotFound", "The blob does not exist");
      },
    },
    log: { warn: (facts, message) => fake.warnings.push({ ...facts, message }) },
  };
  return fake;
}
