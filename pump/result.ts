import { open, rename } from "node:fs/promises";
import { PUMP_FILES, type PumpResult } from "../model/run/pump.ts";

/** Leaves `result` in the working folder: whole or not at all, also when the machine loses power at once. */
export async function leaveResult(result: PumpResult): Promise<void> {
  const temporary = `${PUMP_FILES.result}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(JSON.stringify(result));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, PUMP_FILES.result);
  const folder = await open(".", "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
