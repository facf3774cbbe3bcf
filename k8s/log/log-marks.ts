import type { LogLine } from "../../model/ports/log.ts";

const markOf = (text: string, at: string): LogLine => ({ at, bytes: Buffer.from(`[tyger] ${text}\n`) });

/** Stands for lines that the node dropped before they were read; dated like the line before them. */
export const lostMark = (at: string): LogLine =>
  markOf("The node dropped lines of this log before they could be read", at);

/** Stands for lines that may have been before the first one; dated like that one. */
export const lateMark = (at: string): LogLine =>
  markOf("Earlier lines of this log may be missing: it was not read in the first minute of its container", at);

/** Stands for the log of a pod that was removed; dated like the end of its run. */
export const removedMark = (at: string): LogLine => markOf("The pod was removed before its log was archived", at);

/** A node keeps the log of this time, unless a container writes far more than others. */
const FIRST_MS = 60_000;

/**
 * Whether the node may have dropped the beginning of a log of which nothing was stored. A log that was read in the first minute, or
 * that begins in it, has its beginning.
 */
export function mayLackStart({ startedAt, readAtMs, firstAt }: FirstReading): boolean {
  const startedAtMs = Date.parse(startedAt);
  return readAtMs - startedAtMs > FIRST_MS && Date.parse(firstAt) - startedAtMs > FIRST_MS;
}

/** When a log was read first, and the instant of its first line. */
export interface FirstReading {
  startedAt: string;
  readAtMs: number;
  firstAt: string;
}
