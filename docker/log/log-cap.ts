import type { LogLine } from "../../model/ports/log.ts";
import type { ContainerInfo } from "../engine/engine.ts";
import type { LogEntry } from "./log-entries.ts";

/** `{"log":"","stream":"stdout","time":"2026-01-01T00:00:00.000000000Z"}` and a line feed. */
const ENTRY_OVERHEAD_BYTES = 70;
const UNITS: Record<string, number> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** The size of each byte in the JSON that the engine stores. */
const ENCODED_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === 0x0a || byte === 0x0d || byte === 0x09 || byte === 0x22 || byte === 0x5c) return 2;
  return byte < 0x20 || byte === 0x26 || byte === 0x3c || byte === 0x3e ? 6 : 1;
});

/**
 * Decides whether a log that was read whole may have lost its beginning. The engine does not report that: it keeps a number
 * of files of a size and drops the oldest, so a log that fills all but one of them may be incomplete.
 */
export class LogCapMeter {
  readonly #limitBytes: number;
  #bytes = 0;

  constructor(info: ContainerInfo) {
    const config = info.HostConfig.LogConfig?.Config as Record<string, string> | undefined;
    const [, number, unit = ""] = /^([0-9]+)([kmg]?)$/.exec(config?.["max-size"] ?? "") ?? [];
    const files = Number(config?.["max-file"] ?? 1);
    // A single file is emptied by the engine, so any log may be incomplete then; we never configure that.
    this.#limitBytes = number === undefined ? Infinity : Number(number) * (UNITS[unit] ?? 1) * (files - 1);
  }

  count(entries: readonly LogEntry[]): void {
    for (const { text } of entries) {
      let bytes = ENTRY_OVERHEAD_BYTES;
      for (let i = 0; i < text.length; i++) bytes += ENCODED_BYTES[text[i] ?? 0] ?? 1;
      this.#bytes += bytes;
    }
  }

  get mayBeCut(): boolean {
    return this.#bytes >= this.#limitBytes * 0.98;
  }
}

/** `job` is the part of the prefix that names the replica. */
const markOf = (text: string, at: string, job: string): LogLine => ({
  at,
  bytes: Buffer.from(`${job}[tyger] ${text}\n`),
});

/** The mark of a cut log, dated like its last line. */
export const cutMark = (at: string, job: string): LogLine =>
  markOf("This log was too long for the container engine: its beginning may be missing", at, job);

/** Stands for the log of a container that was removed; dated like the end of its run. */
export const removedMark = (at: string, job: string): LogLine =>
  markOf("The container was removed before its log was archived", at, job);

/** Stands for the rest of a log that the engine cannot read; dated like the last line that was read. */
export const unreadableMark = (at: string, job: string, reason: string): LogLine =>
  markOf(`The container engine could not read the rest of this log: ${reason}`, at, job);

/** Stands for the rest of the log of a container that was removed meanwhile; dated like the last line that was read. */
export const brokenOffMark = (at: string, job: string): LogLine =>
  markOf("The container was removed while its log was archived: its end may be missing", at, job);
