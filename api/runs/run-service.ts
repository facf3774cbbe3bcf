import { checkMember, type Caller } from "../../model/caller.ts";
import { CodedError, notFound } from "../../model/errors.ts";
import type { LogLines, LogQuery } from "../../model/ports/log.ts";
import type { Page, PageQuery, RunFilter, RunRecords } from "../../model/ports/records.ts";
import type { Run, RunRecord, RunRequest, RunStatus } from "../../model/run/run.ts";
import { checkTags } from "../../model/tags.ts";
import { requestCancel, type CancelPorts } from "../../runs/cancel.ts";
import { withShownCluster } from "../../runs/clusters.ts";
import { createRunCreation, type CreationPorts } from "../../runs/create.ts";
import { readLogs, type LogPorts } from "./run-logs.ts";
import { watchRun, type WatchPorts } from "./run-watch.ts";

/** The calls of the API about runs. Every method @throws CodedError Forbidden */
export interface RunService {
  /** The run that this caller created with this idempotency key, if there is one; waits for one that is being created. */
  findByKey(caller: Caller, key: string): Promise<Run | undefined>;
  /** @throws CodedError InvalidInput, Unavailable */
  create(caller: Caller, request: RunRequest, key: string | undefined): Promise<Run>;
  /** @throws CodedError NotFound, also for a text that is not an id */
  get(caller: Caller, id: string): Promise<Run>;
  list(caller: Caller, query: PageQuery & RunFilter): Promise<Page<Run>>;
  counts(caller: Caller, filter: RunFilter): Promise<Partial<Record<RunStatus, number>>>;
  /** @throws CodedError NotFound */
  cancel(caller: Caller, id: string): Promise<Run>;
  /** Replaces all tags. With `ifMatch` only at that eTag. @throws CodedError NotFound, InvalidInput, PreconditionFailed */
  setTags(caller: Caller, id: string, tags: Record<string, string>, ifMatch: string | undefined): Promise<Run>;
  /** Rejects for an unknown run before the answer begins: a stream cannot report it. @throws CodedError NotFound */
  watch(caller: Caller, id: string): Promise<(signal: AbortSignal) => AsyncIterable<Run>>;
  /** As `watch`. @throws CodedError NotFound, InvalidInput */
  logs(caller: Caller, id: string, query: LogQuery): Promise<(signal: AbortSignal) => LogLines>;
}

export type RunPorts = CreationPorts &
  CancelPorts &
  Omit<WatchPorts, "shown"> &
  LogPorts & { runs: Pick<RunRecords, "list" | "counts" | "setTags"> };

export function createRunService(ports: RunPorts): RunService {
  const { runs } = ports;
  const creation = createRunCreation(ports);
  const shown = (run: Run): Run => withShownCluster(ports.clusters, run);

  /** The run that `work` returns for the number in `id`. */
  const having = async (id: string, work: (id: number) => Promise<RunRecord | undefined>): Promise<RunRecord> => {
    const run = /^[0-9]{1,15}$/.test(id) ? await work(Number(id)) : undefined;
    if (run === undefined) throw notFound();
    return run;
  };
  const find = (caller: Caller, id: string): Promise<RunRecord> => {
    checkMember(caller);
    return having(id, runs.find);
  };

  return {
    async findByKey(caller, key) {
      checkMember(caller);
      const run = await creation.findByKey(caller, key);
      return run && shown(run);
    },

    async create(caller, request, key) {
      checkMember(caller);
      return shown(await creation.create(caller, request, key));
    },

    get: async (caller, id) => shown(await find(caller, id)),

    async list(caller, query) {
      checkMember(caller);
      const page = await runs.list(query);
      return { ...page, items: page.items.map(shown) };
    },

    async counts(caller, filter) {
      checkMember(caller);
      return runs.counts(filter);
    },

    async cancel(caller, id) {
      checkMember(caller);
      return shown(await having(id, (runId) => requestCancel(ports, runId)));
    },

    async setTags(caller, id, tags, ifMatch) {
      checkMember(caller);
      checkTags(tags);
      return shown(await having(id, (runId) => runs.setTags(runId, tags, ifMatch)));
    },

    async watch(caller, id) {
      const first = await find(caller, id);
      return (signal) => watchRun({ ...ports, shown }, first, signal);
    },

    async logs(caller, id, query) {
      if (query.tailLines !== undefined && query.tailLines < 0) {
        throw new CodedError("InvalidInput", `The number of lines '${query.tailLines}' must not be negative`);
      }
      const first = await find(caller, id);
      return (signal) => readLogs(ports, first, query, signal);
    },
  };
}
