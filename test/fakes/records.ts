import type { Buffer } from "../../model/buffer/buffer.ts";
import type { CodespecVersion } from "../../model/codespec/codespec.ts";
import { CodedError } from "../../model/errors.ts";
import { etagOf } from "../../model/etag.ts";
import type {
  BufferRecords,
  CodespecRecords,
  NewBuffer,
  OwnedKey,
  Page,
  PageQuery,
  RunFilter,
  RunRecords,
} from "../../model/ports/records.ts";
import { SOLE_CLUSTER } from "../../model/run/names.ts";
import { outputsOf } from "../../model/run/outputs.ts";
import { isTerminal, type RunRecord } from "../../model/run/run.ts";
import { storedInstant } from "../../model/time/instant.ts";
import { nanosecondsOf, normalTimestamp, timestampOf } from "../../model/time/timestamp.ts";

/** The records that the API needs, in memory, with handles for tests. */
export interface FakeRecords {
  codespecs: CodespecRecords;
  buffers: BufferRecords;
  runs: Pick<
    RunRecords,
    "create" | "findByKey" | "find" | "list" | "counts" | "countOpen" | "requestCancel" | "setTags" | "listen"
  >;
  bufferRows: Map<string, Buffer>;
  runRows: Map<number, RunRecord>;
  /** Changes the row and announces it. */
  change(id: number, fields: Partial<RunRecord>): void;
  announce(id: number | undefined): void;
  /** While it is set, runs cannot be read. */
  isAway: boolean;
}

const FIRST_INSTANT = nanosecondsOf("2024-01-25T18:20:49.951262Z") ?? 0n;
const MICROSECOND = 1000n;

export function createFakeRecords(): FakeRecords {
  const versions = new Map<string, CodespecVersion[]>();
  const keys = new Map<string, number>();
  const listeners = new Set<(id: number | undefined) => void>();
  let clock = FIRST_INSTANT;
  /** Each instant once, as if nothing ever happened at the same time. */
  const now = (): string => timestampOf((clock += MICROSECOND));

  const insertBuffer = ({ id, location, tags, expiresAt }: NewBuffer): Buffer => {
    const buffer = {
      id,
      location,
      createdAt: now(),
      ...(expiresAt !== undefined && { expiresAt: normalTimestamp(expiresAt) }),
      ...withTags(tags),
    };
    const stored = { ...buffer, eTag: etagOf(buffer) };
    fake.bufferRows.set(id, stored);
    return stored;
  };
  const find = async (id: number): Promise<RunRecord | undefined> => {
    if (fake.isAway) throw new CodedError("Unavailable", "The database is not available");
    return fake.runRows.get(id);
  };

  const fake: FakeRecords = {
    bufferRows: new Map(),
    runRows: new Map(),
    isAway: false,
    change(id, fields) {
      const row = fake.runRows.get(id);
      if (!row) throw new Error(`no run ${id}`);
      fake.runRows.set(id, withETag({ ...row, ...fields }));
      fake.announce(id);
    },
    announce(id) {
      for (const listener of listeners) listener(id);
    },
    codespecs: {
      async put(name, codespec, isSame) {
        const latest = versions.get(name)?.at(-1);
        if (latest && isSame(latest, codespec)) return latest;
        const version = { ...codespec, name, version: (latest?.version ?? 0) + 1, createdAt: now() };
        versions.set(name, [...(versions.get(name) ?? []), version]);
        return version;
      },
      find: async (name, version) => {
        const all = versions.get(name);
        return version === undefined ? all?.at(-1) : all?.[version - 1];
      },
      list: async (query) =>
        pageOf(
          [...versions]
            .filter(([name]) => name.startsWith(query.prefix ?? ""))
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .flatMap(([, all]) => all.slice(-1)),
          query,
          ({ name }, token) => name > token,
          ({ name }) => name,
        ),
    },
    buffers: {
      create: async (buffer) => insertBuffer(buffer),
      find: async (id) => fake.bufferRows.get(id),
    },
    runs: {
      async create({ newBuffers, idempotencyKey, ...run }) {
        // A commit takes a while, in which another request with the key may come.
        await new Promise(setImmediate);
        const key = idempotencyKey && keyOf(idempotencyKey);
        const first = key === undefined ? undefined : fake.runRows.get(keys.get(key) ?? 0);
        if (first) return { run: first, created: false };
        const isOpen = (holder: RunRecord): boolean => !isTerminal(holder.status);
        for (const { parameter, bufferId } of outputsOf(run.job)) {
          const has = (holder: RunRecord) => outputsOf(holder.job).some((output) => output.bufferId === bufferId);
          const holder = [...fake.runRows.values()].filter(isOpen).find(has);
          if (!holder) continue;
          throw new CodedError(
            "InvalidInput",
            `The output '${parameter}': '${bufferId}' is that of the run '${holder.id}'`,
          );
        }
        const id = fake.runRows.size + 1;
        for (const buffer of newBuffers) insertBuffer(buffer);
        const { tags, ...given } = run;
        const row = withETag({
          cluster: SOLE_CLUSTER,
          ...given,
          ...withTags(tags),
          id,
          uid: `uid${id}`,
          status: "Pending",
          createdAt: now(),
          replicaCount: run.replicaCount ?? 1,
          revision: 0,
        });
        fake.runRows.set(id, row);
        if (key !== undefined) keys.set(key, id);
        return { run: row, created: true };
      },
      findByKey: async (key) => fake.runRows.get(keys.get(keyOf(key)) ?? 0),
      find,
      list: async (query) =>
        pageOf(
          [...fake.runRows.values()].reverse().filter((run) => matches(run, query)),
          query,
          ({ id }, token) => id < Number(token),
          ({ id }) => `${id}`,
        ),
      async counts(filter) {
        const counts: Partial<Record<RunRecord["status"], number>> = {};
        for (const run of fake.runRows.values()) {
          if (matches(run, filter)) counts[run.status] = (counts[run.status] ?? 0) + 1;
        }
        return counts;
      },
      countOpen: async () => [...fake.runRows.values()].filter(({ status }) => !isTerminal(status)).length,
      async requestCancel(id) {
        const row = await find(id);
        if (row && !isTerminal(row.status) && row.cancelRequestedAt === undefined) {
          fake.change(id, { status: "Canceling", cancelRequestedAt: now(), revision: row.revision + 1 });
        }
        return find(id);
      },
      async setTags(id, tags, ifMatch) {
        const row = await find(id);
        if (row === undefined) return undefined;
        if (ifMatch !== undefined && ifMatch !== row.eTag) {
          throw new CodedError("PreconditionFailed", `The run '${id}' has the ETag '${row.eTag}', not '${ifMatch}'`);
        }
        const { tags: _replaced, ...rest } = row;
        fake.runRows.set(id, rest);
        fake.change(id, Object.keys(tags).length > 0 ? { tags } : {});
        return find(id);
      },
      async listen(changed) {
        listeners.add(changed);
        return {
          close: async () => {
            listeners.delete(changed);
          },
        };
      },
    },
  };
  return fake;
}

const keyOf = ({ owner, text }: OwnedKey): string => JSON.stringify([owner, text]);

const withTags = (tags: Record<string, string> | undefined): { tags?: Record<string, string> } =>
  tags && Object.keys(tags).length > 0 ? { tags } : {};

/** Changes with what clients see, as that of the database does. */
function withETag(run: Omit<RunRecord, "eTag">): RunRecord {
  const { status, statusReason, runningCount, startedAt, finishedAt, tags } = run;
  return { ...run, eTag: etagOf({ status, statusReason, runningCount, startedAt, finishedAt, tags }) };
}

function matches(run: RunRecord, { since, statuses = [], tags = {} }: RunFilter): boolean {
  return (
    (since === undefined || (nanosecondsOf(run.createdAt) ?? 0n) > (nanosecondsOf(storedInstant(since)) ?? 0n)) &&
    (statuses.length === 0 || statuses.includes(run.status)) &&
    Object.entries(tags).every(([key, value]) => run.tags?.[key] === value)
  );
}

const TOKEN = /^after-(.+)$/;
/** As in the database. */
const PIECE_BYTES = 1024 * 1024;

/** The items after the one that the token names, so that what is added meanwhile shifts no page. */
function pageOf<T>(
  all: T[],
  { limit, after }: PageQuery,
  isAfter: (item: T, token: string) => boolean,
  tokenOf: (item: T) => string,
): Page<T> {
  const token = TOKEN.exec(after ?? "")?.[1];
  if (after !== undefined && token === undefined) {
    throw new CodedError("InvalidInput", `The continuation token '${after}' is not valid`);
  }
  const rest = token === undefined ? all : all.filter((item) => isAfter(item, token));
  const items: T[] = [];
  let sizeBytes = 0;
  for (const item of rest.slice(0, limit)) {
    sizeBytes += JSON.stringify(item).length;
    if (items.length > 0 && sizeBytes > PIECE_BYTES) break;
    items.push(item);
  }
  const last = items.at(-1);
  return { items, ...(last !== undefined && rest.length > items.length && { next: `after-${tokenOf(last)}` }) };
}
