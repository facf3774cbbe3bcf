import { bufferParametersOf, type JobCodespec } from "../model/codespec/codespec.ts";
import { CodedError } from "../model/errors.ts";
import type { ComputeWriter } from "../model/ports/compute.ts";
import { indexesOf, MAX_REPLICAS, type ReplicaStates } from "../model/run/replicas.ts";
import type { RunRecord } from "../model/run/run.ts";
import { eachOf } from "../waiting/bounded.ts";

/** A stop mostly waits for the grace of its job. */
const STOPS_AT_ONCE = 32;
const LOOKS_AT_ONCE = 16;

/**
 * Stops all replicas, also those that were not launched yet, and returns the end of each.
 * @throws the first failure, after all were tried
 */
export const stopAll = (compute: Pick<ComputeWriter, "stop">, run: RunRecord): Promise<ReplicaStates> =>
  eachOf(indexesOf(run.replicaCount), STOPS_AT_ONCE, (replica) => compute.stop(run, replica));

export const observeAll = (compute: Pick<ComputeWriter, "observe">, run: RunRecord): Promise<ReplicaStates> =>
  eachOf(indexesOf(run.replicaCount), LOOKS_AT_ONCE, (replica) => compute.observe(run, replica));

/** @throws CodedError InvalidInput for more replicas than a run can have, and for outputs that several would write */
export function checkReplicas(count: number, codespec: JobCodespec): void {
  if (count > MAX_REPLICAS) {
    throw new CodedError("InvalidInput", `A run can have at most ${MAX_REPLICAS} replicas, not '${count}'`);
  }
  const output = bufferParametersOf(codespec).find(({ direction }) => direction === "output");
  if (count === 1 || output === undefined) return;
  const reason = "a buffer is written once, so a run with output buffers has one replica";
  throw new CodedError(
    "InvalidInput",
    `'${count}' replicas cannot write the output buffer '${output.name}': ${reason}`,
  );
}
