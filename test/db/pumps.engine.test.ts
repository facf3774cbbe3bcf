import { openDatabase } from "../../db/database.ts";
import { onTestFinished, describe } from "vitest";
import { testPumpRecords, type PumpRecordsUnderTest } from "../ports/pump-records.ts";
import { freshDatabase } from "../engines.ts";
import { clientOf, createdRun, endRun } from "./fixture.ts";
import { startPooler } from "./transaction-pooler.ts";

async function open(isPooled: boolean): Promise<PumpRecordsUnderTest> {
  const fresh = await freshDatabase();
  onTestFinished(() => fresh.drop());
  const pooler = isPooled ? await startPooler(fresh.url) : undefined;
  onTestFinished(() => pooler?.close());
  const database = await (pooler ? openDatabase(pooler.url, { directUrl: fresh.url }) : openDatabase(fresh.url));
  onTestFinished(() => database.close());
  return {
    records: database.pumps,
    newRun: () => createdRun(database),
    endRun: async ({ id }) => void (await endRun(database, id, { status: "Succeeded" })),
    silence: async ({ run }) => {
      const client = clientOf(fresh.url);
      await client.unsafe(`update pumps set seen_at = seen_at - interval '61 s' where run_id = ${run.id}`);
    },
  };
}

describe.each([
  ["the database", false],
  ["a database behind a transaction pooler", true],
])("%s", (_name, isPooled) => {
  testPumpRecords(() => open(isPooled));
});
