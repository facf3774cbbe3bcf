import { CodedError } from "../model/errors.ts";
import type { RunRecords } from "../model/ports/records.ts";

const RECOUNT_MS = 1000;

/** Refuses runs beyond a limit of open ones. It counts at most once a second, and adds its own in between. */
export interface Backlog {
  /** @throws CodedError Unavailable when there is no room for one more */
  check(): Promise<void>;
  add(): void;
}

export function createBacklog(runs: Pick<RunRecords, "countOpen">, limit: number): Backlog {
  let open = 0;
  let countedAtMs = Number.NEGATIVE_INFINITY;
  return {
    async check() {
      if (performance.now() - countedAtMs > RECOUNT_MS) {
        open = await runs.countOpen();
        countedAtMs = performance.now();
      }
      if (open >= limit) throw new CodedError("Unavailable", `Too many open runs (${open}); try again later`);
    },
    add() {
      open += 1;
    },
  };
}
