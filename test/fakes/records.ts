import type { Buffer } from "../../model/buffer/buffer.ts";
import type { CodespecVersion } from "../../model/codespec/codespec.ts";
import { CodedError } from "../../model/errors.ts";
import { etagOf } from "../../model/etag.ts";
import type {
  BufferRecords,
  CodespecRecords,
  NewBuffer,
  Page,
  PageQuery,
  RunRecords,
} from "../../model/ports/records.ts";
import { isTerminal, type RunRecord } from "../../model/run/run.ts";

/** What the API needs of the database, in memory, with handles for tests. */
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

const NOW = "2024-01-25T18:20:49.951262+00:00";

export function createFakeRecords(): FakeRecords {
  const versions = new Map<string, CodespecVersion[]>();
  const keys = new Map<string, number>();
  const listeners = new Set<(id: number | undefined) => void>();

  const insertBuffer = ({ id, location, tags, expiresAt }: NewBuffer): Buffer => {
    const buffer = { id, location, createdAt: NOW, ...(expiresAt && { expiresAt }), ...(tags && { tags }) };
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
      fake.runRows.set(id, { ...row, ...fields, eTag: etagOf({ ...row, ...fields }) });
      fake.announce(id);
    },
    announce(id) {
      for (const listener of listeners) listener(id);
    },
    codespecs: {
      async put(name, codespec, isSame) {
        const latest = versions.get(name)?.at(-1);
        if (latest && isSame(latest, codespec)) return latest;
        const version = { ...codespec, name, version: (latest?.version ?? 0) + 1, createdAt: NOW };
        versions.set(name, [...(versions.get(name) ?? []), version]);
        return version;
      },
      find: async (name, version) => versions.get(name)?.at((version ?? 0) - 1),
      list: async (query) =>
        pageOf(
          [...versions]
            .filter(([name]) => name.startsWith(query.prefix ?? ""))
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .flatMap(([, all]) => all.slice(-1)),
          query,
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
        const first = idempotencyKey === undefined ? undefined : fake.runRows.get(keys.get(idempotencyKey) ?? 0);
        if (first) return { run: first, created: false };
        const id = fake.runRows.size + 1;
        for (const buffer of newBuffers) insertBuffer(buffer);
        const row: RunRecord = { ...run, id, status: "Pending", createdAt: NOW, eTag: "1", revision: 0 };
        fake.runRows.set(id, row);
        if (idempotencyKey !== undefined) keys.set(idempotencyKey, id);
        return { run: row, created: true };
      },
      findByKey: async (key) => fake.runRows.get(keys.get(key) ?? 0),
      find,
      list: async (query) =>
        pageOf(
          [...fake.runRows.values()].reverse().filter(({ status }) => query.statuses?.includes(status) ?? true),
          query,
        ),
      async counts() {
        const counts: Partial<Record<RunRecord["status"], number>> = {};
        for (const { status } of fake.runRows.values()) counts[status] = (counts[status] ?? 0) + 1;
        return counts;
      },
      countOpen: async () => [...fake.runRows.values()].filter(({ status }) => !isTerminal(status)).length,
      async requestCancel(id) {
        const row = await find(id);
        if (row && !isTerminal(row.status)) fake.change(id, { status: "Canceling", cancelRequestedAt: NOW });
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

/** Pages by position: enough to see tokens passed on. */
function pageOf<T>(all: T[], { limit, after }: PageQuery): Page<T> {
  const start = after === undefined ? 0 : Number(after);
  if (Number.isNaN(start)) throw new CodedError("InvalidInput", `The continuation token '${after}' is not valid`);
  const end = start + limit;
  return { items: all.slice(start, end), ...(end < all.length && { next: `${end}` }) };
}
