import type { LogLine } from "../../model/ports/log.ts";

const markOf = (text: string, at: string, prefix: string): LogLine => ({
  at,
  bytes: Buffer.from(`${prefix}[tyger] ${text}\n`),
});

/** Stands for lines that the node dropped before they were read; dated like the line before them. */
export const lostMark = (at: string, prefix: string): LogLine =>
  markOf("The node dropped lines of this log before they could be read", at, prefix);

/** Stands for the log of a pod that was removed; dated like the end of its run. */
export const removedMark = (at: string, prefix: string): LogLine =>
  markOf("The pod was removed before its log was archived", at, prefix);
