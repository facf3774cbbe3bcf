import { writeWholeBy } from "../disk/write-stream.ts";
import { errnoOf, messageOf } from "../model/errors.ts";
import { PUMP_FILES, stateOfResult, type PumpCommand, type PumpResult } from "../model/run/pump.ts";
import { every, retry } from "../waiting/retry.ts";
import type { PumpEnd } from "./channel-end.ts";
import { Control } from "./control.ts";
import type { Journal } from "./journal.ts";

/** A socket and a result file in the working folder, for workers on this machine. */
export function localEnd(obey: (command: PumpCommand) => void, journal: Journal): PumpEnd {
  const control = new Control(obey);
  return {
    begin: () => control.listen(PUMP_FILES.socket),
    show: (report) => control.show(report),
    async leave(result) {
      await leaveFile(result, journal);
      await control.leave(stateOfResult(result));
    },
  };
}

/** It waits out a full disk. A missing folder needs no result. */
async function leaveFile(result: PumpResult, journal: Journal): Promise<void> {
  const passes = (err: unknown): boolean => errnoOf(err) !== "ENOENT";
  const onRetry = (err: unknown): void => journal("error", "could not write the result", { reason: messageOf(err) });
  // Whole or not at all, even if the machine loses power.
  const leave = () => writeWholeBy(PUMP_FILES.result, (file) => file.writeFile(JSON.stringify(result)));
  try {
    await retry(leave, { pauses: every(1000), passes, onRetry });
  } catch {
    // The folder is gone.
  }
}
