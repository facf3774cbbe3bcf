import { CodedError, notFound } from "../../model/errors.ts";
import type { LogLines, LogQuery } from "../../model/ports/log.ts";
import type { Page, PageQuery, RunFilter, RunRecords } from "../../model/ports/records.ts";
import { isTerminal, type Run, type RunRecord, type RunStatus } from "../../model/run/run.ts";
import type { RunInput } from "../../contract/run-schema.ts";
import { createRunCreation, type CreationPorts } from "./run-creation.ts";
import { readLogs, type LogPorts } from "./run-logs.ts";
import type { BackgroundCalls } from "../../model/ports/workflows.ts";
import { shownRun } from "./run-view.ts";
import { watchRun, type WatchPorts } from "./run-watch.ts";

export interface RunService {
  /** The run made with this idempotency key, if there is one; waits for one that is being made. */
  findByKey(key: string): Promise<Run | undefined>;
  /** @throws CodedError InvalidInput, Unavailable */
  create(input: RunInput, key: string | undefined): Promise<Run>;
  /** @throws CodedError NotFound, also for a text that is no id */
  get(id: string): Promise<Run>;
  list(query: PageQuery & RunFilter): Promise<Page<Run>>;
  counts(filter: RunFilter): Promise<Partial<Record<RunStatus, number>>>;
  /** @throws CodedError NotFound */
  cancel(id: string): Promise<Run>;
  /** The run must be there when this resolves: what follows cannot say so any more. @throws CodedError NotFound */
  watch(id: string): Promise<(signal: AbortSignal) => AsyncIterable<Run>>;
  /** As `watch`. @throws CodedError NotFound, InvalidInput */
  logs(id: string, query: LogQuery): Promise<(signal: AbortSignal) => LogLines>;
}

export type RunPorts = Omit<CreationPorts, "started"> &
  WatchPorts &
  LogPorts & { runs: Pick<RunRecords, "list" | "counts" | "requestCancel">; workflows: BackgroundCalls };

/** What can be done with runs. */
export function createRunService(ports: RunPorts): RunService {
  const { runs, workflows } = ports;
  const creation = createRunCreation({ ...ports, started: (runId) => workflows.start(runId) });

  /** What `work` gives for the number that `id` says. */
  const having = async (id: string, work: (id: number) => Promise<RunRecord | undefined>): Promise<RunRecord> => {
    const run = /^[0-9]{1,15}$/.test(id) ? await work(Number(id)) : undefined;
    if (run === undefined) throw notFound();
    return run;
  };
  const find = (id: string): Promise<RunRecord> => having(id, runs.find);

  return {
    ...creation,
    get: async (id) => shownRun(await find(id)),

    async list(query) {
      const { items, ...rest } = await runs.list(query);
      return { items: items.map(shownRun), ...rest };
    },

    counts: (filter) => runs.counts(filter),

    async cancel(id) {
      const run = await having(id, runs.requestCancel);
      if (!isTerminal(run.status)) workflows.cancel(run.id);
      return shownRun(run);
    },

    async watch(id) {
      const first = await find(id);
      return (signal) => watchRun(ports, first, signal);
    },

    async logs(id, query) {
      if (query.tailLines !== undefined && query.tailLines < 0) {
        throw new CodedError("InvalidInput", `The number of lines '${query.tailLines}' must not be negative`);
      }
      const first = await find(id);
      return (signal) => readLogs(ports, first, query, signal);
    },
  };
}
