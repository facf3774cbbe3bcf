import { messageOf } from "../model/errors.ts";
import type { ComputeWriter } from "../model/ports/compute.ts";
import type { LogArchive } from "../model/ports/log.ts";
import type { RunRecords } from "../model/ports/records.ts";
import type { RunWorkflows } from "../model/ports/workflows.ts";

export interface NumberPorts {
  runs: Pick<RunRecords, "numberCheck" | "recordNumberCheck" | "raiseNumbers">;
  workflows: Pick<RunWorkflows, "highestNumber">;
  /** All clusters of the server, and those of this worker, whose engines it asks: another one asks the others. */
  clusters: { names: readonly string[]; own: readonly Pick<ComputeWriter, "survey">[] };
  archive: Pick<LogArchive, "locations" | "highestNumber">;
  log: { info(facts: object, message: string): void; warn(facts: object, message: string): void };
}

/**
 * Gives later runs numbers above all that Temporal, the engines and the archive know: a restored database would give them
 * out a second time. False when one of them could not be asked; the others count all the same.
 */
export async function raiseNumbers({ runs, workflows, clusters, archive, log }: NumberPorts): Promise<boolean> {
  // It is restored with the database: until then, all numbers in use were below those that its sequence gives out.
  const { nowAt, since } = await runs.numberCheck();
  const locations = await archive.locations();
  const asked = await Promise.allSettled([
    workflows.highestNumber(clusters.names, since),
    ...clusters.own.map(async (compute) => Math.max(0, ...(await compute.survey()).map(({ id }) => id))),
    ...locations.map((location) => archive.highestNumber(location)),
  ]);
  const known = asked.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  const highest = Math.max(0, ...known);
  if (await runs.raiseNumbers(highest)) {
    log.warn({ number: highest }, "raised the numbers of runs: some that the database does not know are in use");
  }
  for (const answer of asked) {
    if (answer.status === "rejected") {
      log.warn({ reason: messageOf(answer.reason) }, "could not ask for the numbers of runs that are in use");
    }
  }
  const isComplete = known.length === asked.length;
  if (isComplete) await runs.recordNumberCheck(nowAt);
  return isComplete;
}
