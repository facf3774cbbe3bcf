import type { Buffer } from "../buffer/buffer.ts";
import type { Codespec, CodespecVersion } from "../codespec/codespec.ts";
import type { Outcome } from "../run/lifecycle.ts";
import type { RunIdentity } from "../run/identity.ts";
import type { Run, RunRecord, RunStatus, StatedRun } from "../run/run.ts";

/** The port that db/ implements. Everything in and out is a model type; `CodedError` is thrown where a caller can react. */

/** A list, or a piece of it: fewer items than its limit when they are large, but never none while there are more. */
export interface Page<T> {
  items: T[];
  /** Opaque; absent when the list ends here. */
  next?: string;
}

export interface PageQuery {
  limit: number;
  /** @throws CodedError InvalidInput when it is not one that was given out. */
  after?: string | undefined;
}

export interface CodespecRecords {
  /** A codespec that is the same as the latest version makes none. Concurrent calls for one name all succeed. */
  put(
    name: string,
    codespec: Codespec,
    isSame: (latest: Codespec, given: Codespec) => boolean,
  ): Promise<CodespecVersion>;
  /** The latest version, or the one asked for. */
  find(name: string, version?: number): Promise<CodespecVersion | undefined>;
  list(query: PageQuery & { prefix?: string | undefined }): Promise<Page<CodespecVersion>>;
}

export interface NewBuffer {
  id: string;
  location: string;
  tags?: Record<string, string>;
  expiresAt?: string;
}

/** The names of locations that the installation has used, whatever the configuration says now. */
export interface LocationRecords {
  has(name: string): Promise<boolean>;
  names(): Promise<string[]>;
  /** Repeating it changes nothing. */
  add(name: string): Promise<void>;
}

export interface BufferRecords {
  create(buffer: NewBuffer): Promise<Buffer>;
  /** Whatever its state; expired ones included. */
  find(id: string): Promise<Buffer | undefined>;
}

/** An idempotency key; the same text of another caller is another key. */
export interface OwnedKey {
  /** The subject of the caller. */
  owner: string;
  text: string;
}

export interface NewRun extends StatedRun {
  /** As in {@link RunRecord}. */
  codespecRef?: string;
  /** As in {@link RunRecord}; 1 without it. */
  replicaCount?: number;
  /** Buffers to create with the run, in one transaction. */
  newBuffers: NewBuffer[];
  idempotencyKey?: OwnedKey | undefined;
}

export interface RunFilter {
  /** Strictly later than, microseconds. */
  since?: string | undefined;
  statuses?: readonly RunStatus[] | undefined;
  tags?: Record<string, string> | undefined;
}

/** Which side recorded the end of a run. */
export type EndedBy = "workflow" | "outside";

export interface OpenRun extends RunIdentity {
  /** At least one of its containers was started. */
  isRunning: boolean;
  replicaCount: number;
}

/** Milliseconds by the database's clock, which also dates the cancel and the deadline. */
export interface OverdueRun extends RunIdentity {
  sinceCancelMs?: number;
  sinceDeadlineMs?: number;
}

export interface UnarchivedRun extends RunIdentity {
  endedBy: EndedBy;
}

/** `Elsewhere`: it is that of another cluster, whose reconciler looks after it. */
export interface RunState extends RunIdentity {
  phase: "Open" | "Ended" | "Archived" | "Elsewhere";
}

/** A buffer that an open run has as its output, or one that ended and did not settle it yet. */
export interface OutputClaim {
  bufferId: string;
  /** False for a run that was created before writers had tokens. */
  hasToken: boolean;
}

export interface RunRecords {
  /**
   * One transaction: row, buffers, the claims of its outputs, key. With a known key the run of the first call, `created`
   * false. @throws CodedError InvalidInput when another run has one of the outputs
   */
  create(run: NewRun): Promise<{ run: RunRecord; created: boolean }>;
  findByKey(key: OwnedKey): Promise<RunRecord | undefined>;
  find(id: number): Promise<RunRecord | undefined>;
  /** As `find`, for a run that must exist. @throws CodedError NotFound, also when the number is that of another run */
  load(run: RunIdentity): Promise<RunRecord>;
  list(query: PageQuery & RunFilter): Promise<Page<Run>>;
  /** Statuses with no run are left out. */
  counts(filter: RunFilter): Promise<Partial<Record<RunStatus, number>>>;
  /** Open rows, for the limit on the backlog. */
  countOpen(): Promise<number>;
  /** Sets cancel_requested_at once; a terminal run is returned unchanged. */
  requestCancel(id: number): Promise<RunRecord | undefined>;
  /**
   * Replaces all tags, also of an ended run; with `ifMatch` only while that is the run's eTag. Two concurrent calls with one
   * eTag never both succeed. @throws CodedError PreconditionFailed
   */
  setTags(id: number, tags: Record<string, string>, ifMatch?: string): Promise<RunRecord | undefined>;
  /** Calls `changed` with the id of each run whose row changed, and with undefined when some can be missing. */
  listen(changed: (runId: number | undefined) => void): Promise<{ close(): Promise<void> }>;

  recordWorkflowStarted(id: number): Promise<void>;
  /** Moves Pending to Running where the row is older than `revision` and not terminal; a reason for waiting is forgotten. */
  recordRunning(id: number, revision: number, startedAt: string | undefined): Promise<void>;
  /** As `recordRunning`, for a start that the watcher has seen. Forgets why the run was waiting. */
  recordStart(run: RunIdentity, startedAt: string): Promise<void>;
  /** Says why a Pending run waits, or that nothing unusual keeps it; a run that is not Pending has no such reason. */
  recordWaiting(run: RunIdentity, statusReason: string | undefined): Promise<void>;
  /** How many replicas of a run with several execute; nothing while it is not `Running`. */
  recordRunningCount(run: RunIdentity, count: number): Promise<void>;
  /** Says why an open run waits; its end replaces the text. */
  recordReason(run: RunIdentity, statusReason: string): Promise<void>;
  /**
   * Writes the terminal state once; a row that has one keeps it. Returns the row as it is. An end from `outside` is not that of
   * the run's workflow: until the run is archived, stopping it is owed.
   * @throws CodedError NotFound, also when the number is that of another run
   */
  finish(run: RunIdentity, outcome: Outcome, by?: EndedBy): Promise<RunRecord>;
  /** `location` has its log; without one, the log is lost. */
  recordArchived(run: RunIdentity, location?: string): Promise<void>;
  outputClaims(run: RunIdentity): Promise<OutputClaim[]>;
  /** Lets other runs have the outputs of a run; it must have ended, and they must have their end marks. */
  releaseOutputs(run: RunIdentity): Promise<void>;
  /** The clusters with runs that are open or not archived. */
  clustersInUse(): Promise<string[]>;

  /** The present instant, and that of the last complete check of the numbers in use. */
  numberCheck(): Promise<{ nowAt: string; since?: string }>;
  recordNumberCheck(at: string): Promise<void>;
  /** Gives later runs numbers above `number`; a sequence that is already above it stays. Returns whether it was raised. */
  raiseNumbers(number: number): Promise<boolean>;
}

/** The rows of one cluster's runs, for its workers: those of other clusters are in no list, and cannot be loaded. */
export interface ClusterRunRecords extends RunRecords {
  /** True when the run has a slot: at most `limit` are admitted and open at once, oldest first. */
  admit(id: number, limit: number): Promise<boolean>;
  /** The oldest queued runs, at most as many as there are free slots. */
  nextToAdmit(limit: number): Promise<number[]>;

  /** For the reconciler. */
  unstarted(): Promise<RunIdentity[]>;
  open(): Promise<OpenRun[]>;
  /** The open runs whose cancel was requested or whose deadline has passed. */
  overdue(): Promise<OverdueRun[]>;
  /** The ended runs whose logs are not archived. */
  unarchived(): Promise<UnarchivedRun[]>;
  /** The ended runs whose outputs are not released. */
  unsettled(): Promise<RunIdentity[]>;
  /** The runs of all clusters with these numbers; of a number that no run has, there is none. */
  states(ids: readonly number[]): Promise<RunState[]>;
}
