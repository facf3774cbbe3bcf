import { taskQueueOf, workflowIdOf } from "../model/run/names.ts";

/** The registered name of the workflow of a run. */
export const RUN_WORKFLOW = "runWorkflow";

/** The options with which the API and the reconciler start the workflow of a run: an id ever used is refused, so that
 * starting again is harmless. `installation` is the random id born with the database. */
export const runWorkflowOptions = (installation: string, cluster: string, runId: number) => ({
  workflowId: workflowIdOf(installation, runId),
  taskQueue: taskQueueOf(installation, cluster),
  args: [runId],
  // The default would run a finished id again.
  workflowIdReusePolicy: "REJECT_DUPLICATE" as const,
  staticSummary: `Run ${runId}`,
  staticDetails: `Takes run ${runId} from Pending to its end; what it executes is shown by 'tyger run show ${runId}'.`,
});
