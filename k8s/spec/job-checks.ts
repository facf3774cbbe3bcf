import { bufferParametersOf, type JobCodespec } from "../../model/codespec/codespec.ts";
import { CodedError } from "../../model/errors.ts";
import type { RunRequest } from "../../model/run/run.ts";
import type { PodSettings } from "./cluster-settings.ts";
import { eligiblePools, serviceAccountOf, wantsGpu } from "./placement.ts";
import { NO_SERVER_URL } from "./pump-container.ts";

/** Checks whether a cluster can run a job, before the run is stored. Its nodes look for the image. @throws CodedError InvalidInput */
export function checkJob({ job, worker }: RunRequest, codespec: JobCodespec, settings: PodSettings): void {
  if (worker !== undefined) {
    throw new CodedError("InvalidInput", "Runs with a 'worker' are not supported on Kubernetes by this version");
  }
  if (bufferParametersOf(codespec).length > 0 && settings.pump.serverUrl === undefined) {
    throw new CodedError("InvalidInput", NO_SERVER_URL);
  }
  eligiblePools(settings, job.nodePool, wantsGpu(codespec.resources));
  serviceAccountOf(settings, codespec.identity);
}
