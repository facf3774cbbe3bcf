import { testRecords } from "../ports/records.ts";
import { createFakeRecords } from "./records.ts";

testRecords(async () => {
  const records = createFakeRecords();
  return {
    ...records,
    async end(id, outcome) {
      records.change(id, outcome);
      return records.runRows.get(id)!;
    },
  };
});
