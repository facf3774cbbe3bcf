import type { RequestOf } from "../../contract/fields/message-types.ts";
import type { RUN_UPDATE } from "../../contract/fields/run-fields.ts";
import type { CallOptions, Http } from "../http/http.ts";
import { tagQuery } from "../http/url.ts";
import { type LogBytesOptions, logBytes, type LogLine, logLines, type LogOptions } from "./logs.ts";
import { type List, type ListOptions, listOf } from "../pages.ts";
import type { NewRun, Run, RunStatus } from "../types.ts";
import { changeTags, type TagChanges } from "../tag-changes.ts";
import { type WatchOptions, watchRun } from "./watch.ts";

export interface RunFilter {
  /** Only runs created after this instant, RFC 3339. */
  since?: string | undefined;
  /** Only runs with all of these tags. */
  tags?: Readonly<Record<string, string>> | undefined;
}

type RunId = number | string;

export interface Runs {
  /** Creates a run, once, however often the request has to be repeated. */
  create(run: NewRun, options?: CallOptions): Promise<Run>;
  show(id: RunId, options?: CallOptions): Promise<Run>;
  /** The states of a run, from the one at this moment to the one in which it has ended. */
  watch(id: RunId, options?: WatchOptions): AsyncGenerator<Run, void>;
  /** The newest first. */
  list(options?: ListOptions & RunFilter & { /** Any of these. */ status?: readonly string[] | undefined }): List<Run>;
  /** Statuses that no run has are left out. The keys are in lower camel case: `succeeded`. */
  counts(options?: CallOptions & RunFilter): Promise<Partial<Record<Uncapitalize<RunStatus>, number>>>;
  /** Asks the server to cancel a run; a run that has ended comes back as it is. */
  cancel(id: RunId, options?: CallOptions): Promise<Run>;
  /** Changes the tags of a run, also of one that has ended. @throws ETagMismatchError */
  set(id: RunId, changes: TagChanges, options?: CallOptions): Promise<Run>;
  /** The lines that the containers of a run wrote, in the order of their times. */
  logs(id: RunId, options?: LogOptions): AsyncGenerator<LogLine, void>;
  /** The log byte for byte, also where it is not UTF-8. */
  logBytes(id: RunId, options?: LogBytesOptions): AsyncGenerator<Uint8Array, void>;
}

const pathOf = (id: RunId): string => `/runs/${encodeURIComponent(id)}`;

/** The runs of a server. */
export function runsOver(http: Http): Runs {
  const show = async (id: RunId, { signal }: CallOptions = {}): Promise<Run> =>
    (await http.json<Run>({ method: "GET", path: pathOf(id), signal })).value;
  return {
    async create(run, { signal } = {}) {
      const headers = { "Idempotency-Key": crypto.randomUUID() };
      const request = { method: "POST", path: "/runs", body: run, headers, isRepeatable: true, signal } as const;
      return (await http.json<Run>(request)).value;
    },

    show,
    watch: (id, options = {}) => watchRun(http, id, options),

    list({ since, tags, status, ...options } = {}) {
      return listOf<Run>(http, "/runs", { since, status, ...tagQuery("tag", tags) }, options);
    },

    async counts({ since, tags, signal } = {}) {
      const query = { since, ...tagQuery("tag", tags) };
      return (await http.json<Record<string, number>>({ method: "GET", path: "/runs/counts", query, signal })).value;
    },

    async cancel(id, { signal } = {}) {
      const path = `${pathOf(id)}/cancel`;
      return (await http.json<Run>({ method: "POST", path, isRepeatable: true, signal })).value;
    },

    set(id, changes, { signal } = {}) {
      const path = pathOf(id);
      const read = () => show(id, { signal });
      const write = async (tags: Record<string, string>, ifMatch: string | undefined) => {
        const headers: Record<string, string> = ifMatch === undefined ? {} : { "If-Match": ifMatch };
        const body: RequestOf<typeof RUN_UPDATE> = { tags };
        return (await http.json<Run>({ method: "PUT", path, body, headers, signal })).value;
      };
      return changeTags<Run>(changes, { read, write }, signal);
    },

    logs: (id, options = {}) => logLines(http, id, options),
    logBytes: (id, options = {}) => logBytes(http, id, options),
  };
}
