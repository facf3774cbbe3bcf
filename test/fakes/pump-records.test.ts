import { testPumpRecords } from "../ports/pump-records.ts";
import { createFakePumpRecords } from "./pump-records.ts";

testPumpRecords(async () => {
  const records = createFakePumpRecords();
  let count = 0;
  return {
    records,
    newRun: async () => {
      const run = { id: (count += 1), uid: `uid${count}` };
      records.add(run);
      return run;
    },
    endRun: async (run) => records.endRun(run),
    silence: async (pump) => records.silence(pump),
  };
});
