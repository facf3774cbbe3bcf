import { proxyActivities } from "@temporalio/workflow";

const { step } = proxyActivities<{ step(): Promise<void> }>({ startToCloseTimeout: "1 minute" });

/** The least that a durable run of anything costs: one activity that does nothing. */
export async function bareWorkflow(): Promise<void> {
  await step();
}
