import { messageOf } from "../model/errors.ts";
import { repairEnds, repairStarts, type RepairPorts } from "../runs/repair.ts";
import { poll } from "../waiting/bounded.ts";
import type { HeldLease } from "./lease.ts";

/**
 * Repairs runs until `signal` is aborted: the starts in each pass, the ends in the first pass and each `endsEvery` after
 * it, because they cost most while many runs are queued. Only the holder of the lease repairs.
 */
export async function reconcileForever(
  ports: RepairPorts,
  { everyMs, endsEvery }: { everyMs: number; endsEvery: number },
  lease: Pick<HeldLease, "isHeld">,
  signal: AbortSignal,
): Promise<void> {
  let passes = 0;
  const pass = async (): Promise<undefined> => {
    try {
      if (!lease.isHeld()) return;
      await repairStarts(ports);
      if (passes % endsEvery === 0) await repairEnds(ports);
      passes += 1;
    } catch (err) {
      ports.log.warn({ reason: messageOf(err) }, "a reconciler pass failed");
    }
  };
  await poll(pass, { everyMs, signal });
}
