import { formatBitRate, formatBytes } from "./data-size.ts";
import type { Log } from "./log.ts";

const REPORT_MS = 1000;

/** Logs how a transfer goes: its start, each second in which something moved, its end. */
export class TransferProgress {
  readonly #log: Log;
  readonly #fields: { operation: string; buffer: string };
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  #total = 0;
  #reported = 0;
  #reportedAt = this.#startedAt;

  constructor(log: Log, fields: { operation: string; buffer: string }) {
    this.#log = log;
    this.#fields = fields;
    log.info("Transfer starting", fields);
    this.#timer = setInterval(() => this.#report(), REPORT_MS);
    this.#timer.unref();
  }

  add(sizeBytes: number): void {
    this.#total += sizeBytes;
  }

  #report(): void {
    if (this.#total === this.#reported) return;
    const now = performance.now();
    const rate = (this.#total - this.#reported) / ((now - this.#reportedAt) / 1000);
    this.#log.info("Transfer progress", {
      ...this.#fields,
      throughput: formatBitRate(rate),
      totalCompletedData: formatBytes(this.#total),
    });
    this.#reported = this.#total;
    this.#reportedAt = now;
  }

  /** Says how it was, or nothing more after a failure. */
  end(hasSucceeded: boolean): void {
    clearInterval(this.#timer);
    if (!hasSucceeded) return;
    const seconds = (performance.now() - this.#startedAt) / 1000;
    this.#log.info("Transfer complete", {
      ...this.#fields,
      elapsed: `${seconds.toFixed(seconds < 10 ? 3 : 1)}s`,
      avgThroughput: formatBitRate(this.#total / Math.max(seconds, 0.001)),
      totalCompletedData: formatBytes(this.#total),
    });
  }
}
