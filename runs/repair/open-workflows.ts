import type { ClusterWorkflows } from "../../model/ports/workflows.ts";
import type { RunIdentity } from "../../model/run/identity.ts";

/** Two passes, so that what counts cannot show is repaired within the minute. */
const LIST_MS = 30_000;

export type ListedWorkflows = ReadonlyMap<number, RunIdentity>;

/**
 * The open workflows of a cluster, by the number of their run. To list thousands is most of the work of a worker that waits for
 * its runs, so a list is read again while there are as many workflows as rows: before anything is done to a run, its own workflow is
 * looked at.
 */
export class OpenWorkflows {
  #listed: ListedWorkflows = new Map();
  #listedAtMs = Number.NEGATIVE_INFINITY;
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** @param openRows how many rows there are of runs that have not ended */
  async read(workflows: Pick<ClusterWorkflows, "openRuns" | "countOpen">, openRows: number): Promise<ListedWorkflows> {
    const isRecent = this.#nowMs() - this.#listedAtMs < LIST_MS && this.#listed.size === openRows;
    if (isRecent && (await workflows.countOpen()) === openRows) return this.#listed;
    const startedMs = this.#nowMs();
    this.#listed = await workflows.openRuns();
    this.#listedAtMs = startedMs;
    return this.#listed;
  }
}
