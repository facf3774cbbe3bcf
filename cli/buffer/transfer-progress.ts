import { formatBitRate, formatBytes } from "../read/data-size.ts";
import type { Host } from "../terminal/host.ts";
import type { Log } from "../terminal/log.ts";
import { elapsedText, ProgressMeter } from "../terminal/progress-meter.ts";
import { STATUS_GAP } from "../terminal/terminal-output.ts";

const REPORT_MS = 1000;
const REDRAW_MS = 200;

/** Reports the start of a transfer, each second in which bytes moved, and its end. */
export class TransferProgress {
  readonly #host: Host;
  readonly #log: Log;
  readonly #meter = new ProgressMeter();
  readonly #fields: { operation: string; buffer: string };
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  #reported = 0;
  #reportedAt = this.#startedAt;

  /** On a terminal a status line replaces the log lines in between. */
  constructor(host: Host, log: Log, fields: { operation: string; buffer: string }) {
    this.#host = host;
    this.#log = log;
    this.#fields = fields;
    log.info("Transfer starting", fields);
    const [report, everyMs] = host.hasStatus ? [() => this.#draw(), REDRAW_MS] : [() => this.#report(), REPORT_MS];
    this.#timer = setInterval(report, everyMs).unref();
  }

  add(sizeBytes: number): void {
    this.#meter.add(sizeBytes);
  }

  #draw(): void {
    const nowMs = performance.now();
    const { operation } = this.#fields;
    const parts = [operation, this.#meter.textAt(nowMs), elapsedText(nowMs - this.#startedAt)];
    this.#host.showStatus(parts.join(STATUS_GAP));
  }

  #report(): void {
    if (this.#meter.total === this.#reported) return;
    const now = performance.now();
    const rate = (this.#meter.total - this.#reported) / ((now - this.#reportedAt) / 1000);
    this.#log.info("Transfer progress", {
      ...this.#fields,
      throughput: formatBitRate(rate),
      totalCompletedData: formatBytes(this.#meter.total),
    });
    this.#reported = this.#meter.total;
    this.#reportedAt = now;
  }

  /** Reports the totals; after a failure it reports nothing. */
  end(hasSucceeded: boolean): void {
    clearInterval(this.#timer);
    this.#host.showStatus("");
    if (!hasSucceeded) return;
    const seconds = (performance.now() - this.#startedAt) / 1000;
    this.#log.info("Transfer complete", {
      ...this.#fields,
      elapsed: `${seconds.toFixed(seconds < 10 ? 3 : 1)}s`,
      avgThroughput: formatBitRate(this.#meter.total / Math.max(seconds, 0.001)),
      totalCompletedData: formatBytes(this.#meter.total),
    });
  }
}
