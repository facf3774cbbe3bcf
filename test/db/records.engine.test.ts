import { testRecords } from "../ports/records.ts";
import { openFresh } from "./fixture.ts";

testRecords(async () => {
  const { database } = await openFresh();
  return Object.assign(database, {
    end: (...given: Parameters<typeof database.runs.finish>) => database.runs.finish(...given),
  });
});
