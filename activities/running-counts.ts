import type { RunRecords } from "../model/ports/records.ts";
import { textOf, type RunIdentity } from "../model/run/identity.ts";

/** A thousand replicas start one by one: the row of their run is not written for each. */
const SETTLE_MS = 250;

/** Writes how many replicas of each run execute: at most one write of a run is under way, and a later count follows it. */
export class RunningCounts {
  readonly #runs: Pick<RunRecords, "recordRunningCount">;
  readonly #failed: (run: RunIdentity, err: unknown) => void;
  /** The newest count that is not written. */
  readonly #unwritten = new Map<string, { run: RunIdentity; count: number; timer: NodeJS.Timeout | undefined }>();

  constructor(runs: Pick<RunRecords, "recordRunningCount">, failed: (run: RunIdentity, err: unknown) => void) {
    this.#runs = runs;
    this.#failed = failed;
  }

  /** Returns at once. A count that could not be written is seen again with the next report. */
  see(run: RunIdentity, count: number): void {
    const key = textOf(run);
    const unwritten = this.#unwritten.get(key);
    if (unwritten) unwritten.count = count;
    else this.#unwritten.set(key, { run, count, timer: setTimeout(() => void this.#write(key), SETTLE_MS) });
  }

  close(): void {
    for (const { timer } of this.#unwritten.values()) clearTimeout(timer);
    this.#unwritten.clear();
  }

  async #write(key: string): Promise<void> {
    const unwritten = this.#unwritten.get(key);
    if (!unwritten) return;
    const { run, count } = unwritten;
    try {
      await this.#runs.recordRunningCount(run, count);
    } catch (err) {
      this.#failed(run, err);
    }
    this.#unwritten.delete(key);
    if (unwritten.count !== count) this.see(run, unwritten.count);
  }
}
