import { textOf, type RunIdentity } from "../../model/run/identity.ts";

/** Since when something has held of a run, as far as this process has seen. By a clock that cannot be set. */
export class Sightings {
  readonly #since = new Map<string, number>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Milliseconds since the first sighting, which this can be. */
  see(run: RunIdentity): number {
    const key = textOf(run);
    if (!this.#since.has(key)) this.#since.set(key, this.#nowMs());
    return this.ageMs(run) ?? 0;
  }

  /** Undefined when it was not seen. */
  ageMs(run: RunIdentity): number | undefined {
    const since = this.#since.get(textOf(run));
    return since === undefined ? undefined : this.#nowMs() - since;
  }

  forget(run: RunIdentity): void {
    this.#since.delete(textOf(run));
  }

  /** Forgets all others. */
  keep(runs: readonly RunIdentity[]): void {
    const kept = new Set(runs.map(textOf));
    for (const key of this.#since.keys()) if (!kept.has(key)) this.#since.delete(key);
  }
}
