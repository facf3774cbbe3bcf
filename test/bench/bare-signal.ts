import { defineSignal } from "@temporalio/workflow";

/** The end of a job that does nothing. */
export const bareEnded = defineSignal("bareEnded");
