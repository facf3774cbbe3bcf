import type { Host } from "../terminal/host.ts";
import { elapsedText, ProgressMeter } from "../terminal/progress-meter.ts";
import { STATUS_GAP } from "../terminal/terminal-output.ts";

const REDRAW_MS = 200;

/** The status line of a run for a user at a terminal; without a terminal it does nothing. */
export class RunProgress {
  readonly input = new ProgressMeter();
  readonly output = new ProgressMeter();
  readonly #host: Host;
  readonly #startedAtMs = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #title: string;
  #phase: string;

  constructor(host: Host, run: { id: number; status: string }) {
    this.#host = host;
    this.#title = `run ${run.id}`;
    this.#phase = run.status;
    if (host.hasStatus) this.#timer = setInterval(() => this.#draw(), REDRAW_MS).unref();
  }

  phase(status: string): void {
    this.#phase = status;
  }

  end(): void {
    clearInterval(this.#timer);
    this.#host.showStatus("");
  }

  #draw(): void {
    const nowMs = performance.now();
    const meters = [
      ["in", this.input],
      ["out", this.output],
    ] as const;
    const moved = meters.flatMap(([name, meter]) => (meter.total > 0 ? [`${name} ${meter.textAt(nowMs)}`] : []));
    // Most important first: a narrow terminal shows only the first parts.
    const parts = [this.#title, this.#phase, elapsedText(nowMs - this.#startedAtMs), ...moved];
    this.#host.showStatus(parts.join(STATUS_GAP));
  }
}
