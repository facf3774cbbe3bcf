/** Exactly what the worker registers. */
export { runWorkflow } from "./run.ts";
export { watchWorkflow } from "./watch.ts";
