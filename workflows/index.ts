/** Exactly what the worker registers. */
export { executeRun, runWorkflow } from "./old-run.ts";
export { superviseRun } from "./run.ts";
export { watchWorkflow } from "./watch.ts";
