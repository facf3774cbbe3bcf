import { onTestFinished } from "vitest";
import postgres from "postgres";
import { drizzleOf, openClient, type Db } from "../../db/client.ts";
import { openDatabase } from "../../db/database.ts";
import type { Database } from "../../model/ports/database.ts";
import type { Outcome } from "../../model/run/lifecycle.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { freshDatabase } from "../engines.ts";
import { eventually } from "../eventually.ts";

/** An open database of its own, gone after the test. */
export async function openFresh(): Promise<{ url: string; database: Database }> {
  const fresh = await freshDatabase();
  const { url } = fresh;
  onTestFinished(() => fresh.drop());
  const database = await openDatabase(url);
  onTestFinished(() => database.close());
  return { url, database };
}

/** Another client of the database, for statements of its own. */
export function clientOf(url: string): postgres.Sql {
  const client = postgres(url, { max: 1, onnotice: () => {} });
  onTestFinished(() => client.end({ timeout: 1 }));
  return client;
}

/** Another client's transaction that has run `statements` and stays open until the test commits it. */
export async function openTransaction(url: string, ...statements: string[]) {
  const client = clientOf(url);
  for (const statement of ["begin", ...statements]) await client.unsafe(statement);
  const waiters = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  const countWaiters = async (): Promise<number> => {
    // A transaction sees the activity as it was when it first looked.
    await client.unsafe("select pg_stat_clear_snapshot()");
    return (await client.unsafe(waiters)).length;
  };
  return {
    /** Resolves once `count` other statements on the database wait for it. */
    untilWaitedFor: (count = 1) => eventually(async () => (await countWaiters()) >= count),
    run: async (statement: string) => void (await client.unsafe(statement)),
    commit: async () => void (await client.unsafe("commit")),
    rollback: async () => void (await client.unsafe("rollback")),
  };
}

/** How many entries of these indexes `work` reads, on a connection of its own. */
export async function entriesRead(url: string, indexes: string[], work: (db: Db) => Promise<unknown>): Promise<number> {
  const client = openClient({ url, isPooler: false }, { max: 1 });
  onTestFinished(() => client.end({ timeout: 1 }));
  const totalRead = async (): Promise<number> => {
    await client.unsafe("select pg_stat_force_next_flush()");
    const names = indexes.map((name) => `'${name}'`).join();
    const [row] = await client.unsafe(
      `select sum(idx_tup_read)::int as total from pg_stat_user_indexes where indexrelname in (${names})`,
    );
    return Number(row?.["total"]);
  };
  const before = await totalRead();
  await work(drizzleOf(client));
  return (await totalRead()) - before;
}

/** Ends the run with this number, as its workflow does. */
export async function endRun({ runs }: Database, id: number, outcome: Outcome): Promise<RunRecord> {
  const run = await runs.find(id);
  if (!run) throw new Error(`There is no run '${id}'`);
  return runs.finish(run, outcome);
}

export { bufferId, codespec, createdId, createdRun, jobWithOutputs, newRun, twentyAtOnce } from "../ports/records.ts";
