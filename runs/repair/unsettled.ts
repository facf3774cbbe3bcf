import { settleOutputs } from "../outputs.ts";
import type { Repairing } from "./ports.ts";

/** Finds ended runs whose outputs could not be given their end marks: the store was full, or the worker died before it. */
export async function repairOutputs(repairing: Repairing): Promise<void> {
  for (const run of await repairing.runs.unsettled()) {
    repairing.ends.offer({ run, fault: "outputs without an end" }, async () =>
      settleOutputs(repairing, await repairing.runs.load(run)),
    );
  }
}
