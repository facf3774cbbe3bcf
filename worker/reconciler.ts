import type { Repair } from "../runs/repair/repair.ts";
import { poll } from "../waiting/bounded.ts";
import type { HeldLease } from "./lease.ts";

export interface ReconcilerTimes {
  everyMs: number;
  /** Each such pass is a whole one, and so is the first after the lease was taken: it costs most while many runs are open. */
  wholeEvery: number;
}

/** Begins passes while the lease is held, until `signal` is aborted. No pass waits for the one before. */
export async function reconcileForever(
  repair: Pick<Repair, "pass">,
  { everyMs, wholeEvery }: ReconcilerTimes,
  lease: Pick<HeldLease, "isHeld">,
  signal: AbortSignal,
): Promise<void> {
  let passes = 0;
  const pass = (): undefined => {
    if (lease.isHeld()) repair.pass({ isWhole: passes++ % wholeEvery === 0 });
    else passes = 0;
  };
  await poll(pass, { everyMs, signal });
}
