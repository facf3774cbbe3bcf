import type { RunIdentity } from "../run/identity.ts";
import type { ObjectStore } from "./objects.ts";

/** One line of a log. */
export interface LogLine {
  /** RFC 3339 with nine digits and `Z`; lines without a parsable instant have the zero instant. */
  at: string;
  /** The text with its prefix, as bytes, with the line feed unless it is a last line without one. */
  bytes: Uint8Array;
}

/** Lines in time order, in batches, so that a million lines are not a million awaits. */
export type LogLines = AsyncIterable<readonly LogLine[]>;

export interface LogQuery {
  follow?: boolean;
  /** The last N lines of the merged log; 0 gives none. */
  tailLines?: number;
  /** Only lines strictly later; compared with all its digits. RFC 3339. */
  since?: string;
  /** The whole log, to be kept: where its container was removed before it was read, a marked line stands for the rest. */
  toArchive?: true;
}

export const ZERO_INSTANT = "0001-01-01T00:00:00.000000000Z";

/** The locations in which logs are archived. */
export interface LogLocations {
  /** New logs are archived there. */
  default: string;
  /** @throws CodedError Unavailable for one that the configuration does not have */
  objectsAt(location: string): ObjectStore;
  /** Those that have ever had something, also former defaults. */
  used(): Promise<string[]>;
}

/** Where logs are kept once a run has ended. */
export interface LogArchive {
  /**
   * Writes the whole log in bounded memory. It is visible only when complete, and the first complete one stays: `lines` of a
   * repeated call are not read, and a writer that finishes later changes nothing.
   * @returns the location that has it
   */
  write(run: RunIdentity, lines: LogLines): Promise<string>;
  /** Undefined when nothing was archived for the run. */
  read(run: ArchivedRun, query: Pick<LogQuery, "tailLines" | "since">): Promise<LogLines | undefined>;
  /** The locations of {@link LogLocations.used}. */
  locations(): Promise<string[]>;
  /** The highest number of a run whose log is in a location, known or not; 0 without any. */
  highestNumber(location: string): Promise<number>;
}

export interface ArchivedRun extends RunIdentity {
  /** Absent for a log that is older than locations. */
  logLocation?: string;
}
