import { writeWholeBy } from "../disk/write-stream.ts";
import { PUMP_FILES, type PumpResult } from "../model/run/pump.ts";

/** Leaves `result` in the working folder: whole or not at all, also when the machine loses power at once. */
export const leaveResult = (result: PumpResult): Promise<void> =>
  writeWholeBy(PUMP_FILES.result, (file) => file.writeFile(JSON.stringify(result)));
