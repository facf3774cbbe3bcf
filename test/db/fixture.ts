import { onTestFinished } from "vitest";
import postgres from "postgres";
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

/** Another client's transaction that has run `statements` and stays open until the test commits it. */
export async function openTransaction(url: string, ...statements: string[]) {
  const client = postgres(url, { max: 1, onnotice: () => {} });
  onTestFinished(() => client.end({ timeout: 1 }));
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

/** Ends the run with this number, as its workflow does. */
export async function endRun({ runs }: Database, id: number, outcome: Outcome): Promise<RunRecord> {
  const run = await runs.find(id);
  if (!run) throw new Error(`There is no run '${id}'`);
  return runs.finish(run, outcome);
}

export { bufferId, codespec, createdId, createdRun, jobWithOutputs, newRun, twentyAtOnce } from "../ports/records.ts";
