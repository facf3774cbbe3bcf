import { formatBytes } from "../read/data-size.ts";

/** The shown rate is the average over this time. */
const WINDOW_MS = 2000;

/** Counts the bytes of a transfer and shows the total and the recent rate. */
export class ProgressMeter {
  readonly #samples: { atMs: number; total: number }[] = [];
  #total = 0;

  add(sizeBytes: number): void {
    this.#total += sizeBytes;
  }

  get total(): number {
    return this.#total;
  }

  /** `12MiB  3.4MiB/s`; `nowMs` is from a monotonic clock. */
  textAt(nowMs: number): string {
    this.#samples.push({ atMs: nowMs, total: this.#total });
    while (this.#samples.length > 2 && nowMs - (this.#samples[0]?.atMs ?? 0) > WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0];
    const seconds = first === undefined ? 0 : (nowMs - first.atMs) / 1000;
    const rate = first === undefined || seconds <= 0 ? 0 : (this.#total - first.total) / seconds;
    return `${formatBytes(this.#total)}  ${formatBytes(rate)}/s`;
  }
}

/** `0:07`, `12:34`, `1:02:03`. */
export function elapsedText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value: number): string => String(value).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
