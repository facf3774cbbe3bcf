import { onTestFinished } from "vitest";
import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { openDatabase } from "../../db/database.ts";
import type { Database } from "../../model/ports/database.ts";
import { base32 } from "../../model/buffer/buffer.ts";
import type { JobCodespec } from "../../model/codespec/codespec.ts";
import type { NewRun } from "../../model/ports/records.ts";
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

/** A transaction of somebody else that has carried out `statements` and is open until it is told to commit. */
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
    commit: async () => void (await client.unsafe("commit")),
  };
}

export const codespec: JobCodespec = { kind: "job", image: "ubuntu", command: ["true"] };

export const bufferId = (): string => base32(randomBytes(16));

/** What the API asks to be stored, with `given` over it. */
export const newRun = (given: Partial<NewRun> = {}): NewRun => ({
  job: { codespec },
  timeoutSeconds: 43_200,
  bufferAccessTtl: "01:00:00",
  newBuffers: [],
  ...given,
});

/** The id of a run that was stored just now. */
export async function createdId(database: Database, given: Partial<NewRun> = {}): Promise<number> {
  return (await database.runs.create(newRun(given))).run.id;
}

/** The results of twenty calls made at once. */
export const twentyAtOnce = <T>(call: (place: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: 20 }, (_, place) => call(place)));
