/** Exactly what the worker registers. */
export { executeRun, runWorkflow } from "./run.ts";
export { watchWorkflow } from "./watch.ts";
