/**
 * What a TypeScript program imports from the package to drive and to ask runs over Temporal, as in
 * `client.workflow.getHandle(workflowIdOf(installation, 7)).signal(cancelRun)`; `tyger status` names the installation.
 */
export { workflowIdOf } from "../model/run/names.ts";
export { cancelRun, currentRun, type RunView } from "./messages.ts";
export { SEARCH_ATTRIBUTES } from "./search-attributes.ts";
