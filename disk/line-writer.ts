import { writeSync } from "node:fs";
import { errnoOf } from "../model/errors.ts";

/** Lines that a full disk or a slow reader refuses wait in memory, up to this many bytes. */
const KEPT_BYTES = 1024 * 1024;

export interface LineWriter {
  /** Never throws and never waits. `line` ends with a newline. */
  write(line: string): void;
}

/**
 * Writes lines to an open descriptor, for logs: a full disk there must not stop a process. No line is torn: what could not be
 * written is written before the next line. Of the lines that could not be kept, `describeLoss` makes one.
 */
export function createLineWriter(fd: number, describeLoss: (lines: number, reason: string) => string): LineWriter {
  const kept: Buffer[] = [];
  let keptBytes = 0;
  let lost = 0;
  let reason = "";

  const keep = (line: string): boolean => {
    const bytes = Buffer.from(line);
    // A longer line than that is written if nothing waits.
    if (keptBytes > 0 && keptBytes + bytes.length > KEPT_BYTES) return false;
    kept.push(bytes);
    keptBytes += bytes.length;
    return true;
  };
  const flush = (): boolean => {
    try {
      for (let first = kept[0]; first; first = kept[0]) {
        const written = writeSync(fd, first);
        keptBytes -= written;
        if (written === first.length) kept.shift();
        else kept[0] = first.subarray(written);
      }
      return true;
    } catch (err) {
      reason = errnoOf(err) ?? "EIO";
      return false;
    }
  };
  return {
    write(line) {
      if (flush() && lost > 0) {
        keep(describeLoss(lost, reason));
        lost = 0;
      }
      if (lost === 0 && keep(line)) flush();
      else lost += 1;
    },
  };
}
