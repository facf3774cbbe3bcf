import type { Outcome } from "../../model/run/lifecycle.ts";
import { testRecords } from "../ports/records.ts";
import { endRun, openFresh } from "./fixture.ts";

testRecords(async () => {
  const { database } = await openFresh();
  return Object.assign(database, { end: (id: number, outcome: Outcome) => endRun(database, id, outcome) });
});
