import postgres from "postgres";
import { tokenOf } from "../../db/continuation.ts";
import { openDatabase } from "../../db/database.ts";
import type { Database } from "../../model/ports/database.ts";
import type { RunFilter } from "../../model/ports/records.ts";
import { insertManyRuns } from "../db/many-runs.ts";
import { enginesOf, type TestStack } from "../e2e/stack.ts";
import { quantile, timed, type Comparison, type Limits } from "./measure.ts";

const MANY = 1_000_000;
const FEW = 10_000;
const CALLS = 40;

/** A database of its own with runs that have ended long ago, one second after another. */
interface RunStore {
  database: Database;
  client: postgres.Sql;
  /** A page in the middle of a list. */
  middle: string;
}

async function openStore(stack: TestStack, count: number): Promise<RunStore> {
  const { postgres: server } = await enginesOf(stack);
  const name = `bench_runs_${count}`;
  const admin = postgres(`${server}postgres`, { max: 1 });
  await admin.unsafe(`create database ${name}`);
  await admin.end();
  const database = await openDatabase(`${server}${name}`);
  const client = postgres(`${server}${name}`, { max: 1, onnotice: () => {} });
  await insertManyRuns(client, {
    count,
    status: "case i % 10 when 0 then 'Failed' else 'Succeeded' end",
    tags: { all: "true", rare: "i % 1000 = 7", tenth: "i % 10 = 3", other: "i % 10 = 4" },
  });
  const createdAt = new Date(Date.UTC(2026, 0, 1) + (count / 2) * 1000).toISOString();
  return { database, client, middle: tokenOf({ createdAt, id: count / 2 }) };
}

/** Databases of many runs: each is made when it is first used, and goes with the stack. */
export interface RunStores {
  of(count: number): Promise<RunStore>;
  close(): Promise<void>;
}

export function runStores(stack: TestStack): RunStores {
  const opened = new Map<number, Promise<RunStore>>();
  return {
    of(count) {
      const store = opened.get(count) ?? openStore(stack, count);
      opened.set(count, store);
      return store;
    },
    async close() {
      for (const store of await Promise.allSettled(opened.values())) {
        if (store.status === "rejected") continue;
        const { database, client } = store.value;
        await Promise.all([database.close(), client.end({ timeout: 1 })]);
      }
    },
  };
}

const tagged = (...keys: string[]): RunFilter => ({ tags: Object.fromEntries(keys.map((key) => [key, "yes"])) });

/** Lists that are equally quick, however many runs there are. */
const LISTS: Readonly<Record<string, RunFilter>> = {
  "all runs": {},
  "a status": { statuses: ["Failed"] },
  "a common tag": tagged("all"),
  "a rare tag": tagged("rare"),
  "a common, a rare tag": tagged("all", "rare"),
  "a rare, a common tag": tagged("rare", "all"),
};

/** The first page of a list, and one inside it. */
async function listTwoPages({ database, middle }: RunStore, filter: RunFilter): Promise<void> {
  await database.runs.list({ limit: 20, ...filter });
  await database.runs.list({ limit: 20, after: middle, ...filter });
}

/** Pages among a million runs against the same among ten thousand, and counts against their plain statement. */
export function manyRunsComparisons(stores: RunStores): Comparison[] {
  const listAll = async (count: number): Promise<number> => {
    const store = await stores.of(count);
    return timed(async () => {
      for (const filter of Object.values(LISTS)) await listTwoPages(store, filter);
    });
  };
  const counts = (name: string, filter: RunFilter, budget: number): Comparison => ({
    name,
    unit: "ms",
    repeats: 7,
    ours: async () => {
      const { database } = await stores.of(MANY);
      return timed(() => database.runs.counts(filter));
    },
    rival: async () => {
      const { client } = await stores.of(MANY);
      return timed(() => client.unsafe("select shown_status, count(*) from runs group by shown_status"));
    },
    rivalName: "select shown_status, count(*) … group by shown_status",
    budget: { p50: budget },
  });
  return [
    {
      name: "list-pages",
      unit: "ms",
      repeats: 21,
      ours: () => listAll(MANY),
      rival: () => listAll(FEW),
      rivalName: `the same ${2 * Object.keys(LISTS).length} pages at ${FEW} runs`,
      budget: { p50: 1.5 },
    },
    counts("run-counts", {}, 1),
    counts("tag-counts", tagged("all"), 1.5),
    counts("two-tag-counts", tagged("tenth", "all"), 1.5),
  ];
}

/** The p95 of single pages among a million runs. */
export function manyRunsLimits(stores: RunStores): Limits {
  const p95Of = async (list: () => Promise<unknown>, calls: number): Promise<number> => {
    const times: number[] = [];
    for (let call = 0; call < calls; call += 1) times.push(await timed(list));
    return quantile(times, 0.95);
  };
  const bound = (what: string, atMost: number) => ({ what: `${what}, p95`, unit: "ms", atMost });
  return {
    name: "lists",
    repeats: 5,
    bounds: [...Object.keys(LISTS).map((what) => bound(what, 5)), bound("two tags never together", 150)],
    async measure() {
      const { database, middle } = await stores.of(MANY);
      const worst: number[] = [];
      for (const filter of Object.values(LISTS)) {
        const first = await p95Of(() => database.runs.list({ limit: 20, ...filter }), CALLS);
        worst.push(
          Math.max(first, await p95Of(() => database.runs.list({ limit: 20, after: middle, ...filter }), CALLS)),
        );
      }
      const apart = tagged("tenth", "other");
      return [...worst, await p95Of(() => database.runs.list({ limit: 20, ...apart }), CALLS / 4)];
    },
  };
}
