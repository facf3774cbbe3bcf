import type { ClusterRunRecords } from "../model/ports/records.ts";
import type { RunWorkflows } from "../model/ports/workflows.ts";
import type { RunIdentity } from "../model/run/identity.ts";
import { deadlineOf, isTerminal } from "../model/run/run.ts";

export interface AdmissionPorts {
  runs: ClusterRunRecords;
  workflows: Pick<RunWorkflows, "offerSlots">;
  /** Slots of the cluster: how many of its runs can be live at once. */
  maxLiveRuns: number;
}

/** The facts in the row of a run that asks for a slot. */
export interface Admission {
  /** The row is terminal already: a reset or repeated workflow has nothing to do. */
  isOver: boolean;
  admitted: boolean;
  cancelRequested: boolean;
  deadlineAt: string;
  /** `name/versions/N`; absent for an inline codespec. */
  codespecRef?: string;
}

/** Admits the run to a slot, unless none is free or it is over. Repeating it changes nothing. @throws CodedError NotFound */
export async function admitRun({ runs, maxLiveRuns }: AdmissionPorts, asking: RunIdentity): Promise<Admission> {
  const run = await runs.load(asking);
  const isOver = isTerminal(run.status);
  return {
    isOver,
    admitted: !isOver && (await runs.admit(run.id, maxLiveRuns)),
    cancelRequested: run.cancelRequestedAt !== undefined,
    deadlineAt: deadlineOf(run),
    ...(run.codespecRef === undefined ? {} : { codespecRef: run.codespecRef }),
  };
}

/** Offers each free slot to the queued run whose turn it is. An offer that is lost is made again by the reconciler. */
export async function offerFreeSlots({ runs, workflows, maxLiveRuns }: AdmissionPorts): Promise<void> {
  await workflows.offerSlots(await runs.nextToAdmit(maxLiveRuns));
}
