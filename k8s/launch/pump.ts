import { CodedError } from "../../model/errors.ts";
import type { PumpAddress, PumpChannel } from "../../model/ports/pump-channel.ts";
import type { PumpState, ReplicaState } from "../../model/run/lifecycle.ts";
import { hasPump } from "../../model/run/pipes.ts";
import { indexesOf } from "../../model/run/replicas.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { eachOf } from "../../waiting/bounded.ts";
import { tokenIn } from "../spec/job-pod.ts";
import { judgePump } from "../spec/pump-state.ts";
import type { Secret } from "../spec/wire.ts";
import type { ReplicaPorts } from "./replica.ts";

/** Calls at a time for one run: others must not wait behind the thousand replicas of one. */
const AT_ONCE = 16;

export const addressOfPump = ({ id, uid }: RunRecord, replica: number): PumpAddress => ({
  run: { id, ...(uid !== undefined && { uid }) },
  replica,
});

export const channelOf = ({ pumps }: Pick<ReplicaPorts, "pumps">, run: RunRecord, replica: number): PumpChannel =>
  pumps.channelTo(addressOfPump(run, replica));

/** New tokens for the pumps of a run, by replica; none for a run without buffers. */
export const tokensFor = ({ pumps }: Pick<ReplicaPorts, "pumps">, run: RunRecord): string[] =>
  hasPump(run) ? indexesOf(run.replicaCount).map(() => pumps.newToken()) : [];

/**
 * Lets the pumps of a run speak to our API with the tokens in its Secret. Each worker takes those that are there, so that none shuts
 * out the pump of another.
 */
export async function openPumps({ pumps }: Pick<ReplicaPorts, "pumps">, run: RunRecord, secret: Secret): Promise<void> {
  if (!hasPump(run)) return;
  await eachOf(indexesOf(run.replicaCount), AT_ONCE, async (replica) => {
    const token = tokenIn(secret, replica);
    if (token === undefined) {
      throw new CodedError("LaunchFailed", `The Secret '${secret.metadata?.name}' has no token for replica ${replica}`);
    }
    await pumps.open(addressOfPump(run, replica), token);
  });
}

/** A replica in this state, with its pump, if it has one, which its pod, if there is one, shows as `inPod`. */
export async function withPump(
  ports: Pick<ReplicaPorts, "pumps">,
  run: RunRecord,
  replica: number,
  { container, pump: inPod = { phase: "Dead" } }: ReplicaState,
): Promise<ReplicaState> {
  if (!hasPump(run)) return { container };
  const isDecided = inPod.phase === "Succeeded" || inPod.phase === "Failed";
  const pump: PumpState = isDecided ? inPod : judgePump(inPod, await channelOf(ports, run, replica).state());
  return { container, pump };
}
