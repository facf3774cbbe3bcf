/**
 * TypeScript programs import this from the package to cancel, query and await runs over Temporal, as in
 * `client.workflow.getHandle(workflowIdOf(installation, 7)).signal(cancelRun)`; `tyger status` shows the installation.
 */
export { workflowIdOf } from "../model/run/names.ts";
export { runEndOf, type RunEnd } from "./run-end.ts";
export { FAILURE_CAUSES, type FailureCause } from "../model/run/lifecycle.ts";
export { cancelRun, currentRun, type RunView } from "./messages.ts";
export { SEARCH_ATTRIBUTES } from "./search-attributes.ts";
