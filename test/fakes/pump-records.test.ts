import { testPumpRecords } from "../ports/pump-records.ts";
import { createFakePumpRecords } from "./pump-records.ts";

testPumpRecords(async () => {
  let count = 0;
  const runs = Array.from({ length: 10 }, (_, place) => ({ id: place + 1, uid: `uid${place}` }));
  const records = createFakePumpRecords(runs);
  return {
    records,
    newRun: async () => runs[count++]!,
    endRun: async ({ id, uid }) => void records.openRuns.delete(`${id}-${uid}`),
    silence: async (pump) => records.silence(pump),
  };
});
