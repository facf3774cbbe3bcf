import { messageOf } from "../model/errors.ts";
import { repairEnds, repairStarts, type RepairPorts } from "../runs/repair.ts";
import { poll } from "../waiting/bounded.ts";

/**
 * Repairs runs until `signal` is aborted: the starts in each pass, the ends in the first pass and each `endsEvery` after
 * it, because they cost most while many runs are queued. `takeLock` says whether this worker is the one that reconciles.
 */
export async function reconcileForever(
  ports: RepairPorts,
  { everyMs, endsEvery }: { everyMs: number; endsEvery: number },
  takeLock: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  let passes = 0;
  const pass = async (): Promise<undefined> => {
    try {
      if (!(await takeLock())) return;
      await repairStarts(ports);
      if (passes % endsEvery === 0) await repairEnds(ports);
      passes += 1;
    } catch (err) {
      ports.log.warn({ reason: messageOf(err) }, "a reconciler pass failed");
    }
  };
  await poll(pass, { everyMs, signal });
}
