import { writeWholeBy } from "../disk/write-stream.ts";
import { PUMP_FILES, type PumpResult } from "../model/run/pump.ts";

/** Writes `result` to the working folder: whole or not at all, even if the machine loses power. */
export const leaveResult = (result: PumpResult): Promise<void> =>
  writeWholeBy(PUMP_FILES.result, (file) => file.writeFile(JSON.stringify(result)));
