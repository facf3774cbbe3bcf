import { afterAll, beforeAll, expect, test } from "vitest";
import { reconcilerLock } from "../../db/reconciler-lock.ts";
import { freshDatabase } from "../engines.ts";
import { eventually } from "../eventually.ts";

let database: Awaited<ReturnType<typeof freshDatabase>>;
beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(async () => {
  await database.drop();
});

test("one of two workers gets the lock and keeps it; the other gets it when the first is gone", async () => {
  const [first, second] = [reconcilerLock(database.url), reconcilerLock(database.url)];
  expect([await first.take(), await second.take(), await first.take()]).toEqual([true, false, true]);
  await first.close();
  await eventually(() => second.take());
  await second.close();
});
