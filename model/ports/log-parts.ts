import type { RunIdentity } from "../run/identity.ts";
import type { LogLine } from "./log.ts";

/** Lines on their way into a part, in the form in which they are stored: as objects they would take several times the memory. */
export interface CollectedLines {
  add(lines: readonly LogLine[]): void;
  readonly sizeBytes: number;
}

/** Where a part of a live log ends. */
export interface PartEnd {
  /** The parts of a stream are counted from 1. */
  number: number;
  /** From where its writer continues, in the writer's words. */
  position: string;
  /** The latest instant in this part and all before it. */
  latestAt: string;
}

export interface LogPart extends PartEnd {
  lines: readonly LogLine[];
}

/** The last part is read in any case. */
export interface PartQuery {
  /** Only parts with a higher number. */
  after?: number;
  /** Not those in which no line is later. RFC 3339 with nine digits. */
  since?: string | undefined;
  /** Only the last parts that together have at least as many lines. */
  tailLines?: number | undefined;
}

/**
 * Keeps the logs of live containers, because a node keeps only the end of a long log. A stream is the log of one container of a run;
 * its name has letters, digits and hyphens. The archive replaces all parts of a run when the run has ended.
 * @throws CodedError Unavailable from each call while a location is away
 */
export interface LogParts {
  collect(): CollectedLines;
  /** The end of the last part; undefined when there is none. */
  last(run: RunIdentity, stream: string): Promise<PartEnd | undefined>;
  /** Stores a part as a whole. False when there is one of this number already: another process collects the stream, or we did. */
  add(run: RunIdentity, stream: string, end: PartEnd, lines: CollectedLines): Promise<boolean>;
  /** The parts in order. @throws Error when they are removed meanwhile */
  read(run: RunIdentity, stream: string, query: PartQuery): AsyncIterable<LogPart>;
  /** Removes all parts of a run. */
  remove(run: RunIdentity): Promise<void>;
}
