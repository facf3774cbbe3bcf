/** Workflows of a bad deployment: each of their tasks fails. */
async function fail(): Promise<never> {
  throw new TypeError("undefined is not a function, in a bad deployment");
}

export { fail as executeRun, fail as runWorkflow, fail as watchWorkflow };
