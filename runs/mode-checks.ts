import type { JobCodespec } from "../model/codespec/codespec.ts";
import { isImageName } from "../model/codespec/image-name.ts";
import { quantityValue } from "../model/codespec/quantity.ts";
import { CodedError } from "../model/errors.ts";
import type { ComputeReader } from "../model/ports/compute.ts";
import type { RunRequest } from "../model/run/run.ts";

/** Checks whether a kind of cluster can run a job, within the request. @throws CodedError InvalidInput, Unavailable */
export type ModeChecks = (request: RunRequest, codespec: JobCodespec) => Promise<void>;

/**
 * Docker brings in no images, and gives all GPUs or none.
 * @param cluster named in messages, where the server has several
 */
export const dockerChecks =
  (
    compute: Pick<ComputeReader, "hasImage" | "hasGpu">,
    cluster?: { name: string; dockerHost: string | undefined },
  ): ModeChecks =>
  async ({ worker }, { image, resources }) => {
    if (worker !== undefined) {
      throw new CodedError("InvalidInput", "Runs with a 'worker' are not supported by a server that runs on Docker");
    }
    const needsGpu = resources?.gpu !== undefined && quantityValue(resources.gpu) > 0;
    const [hasImage, hasGpu] = await Promise.all([compute.hasImage(image), needsGpu ? compute.hasGpu() : true]);
    if (!hasImage && !isImageName(image)) {
      const examples = "'ubuntu', 'ubuntu:24.04' or 'registry.example.com/team/image:tag'";
      throw new CodedError("InvalidInput", `The image name '${image}' is not valid; image names look like ${examples}`);
    }
    if (!hasImage) {
      throw new CodedError(
        "InvalidInput",
        cluster
          ? `The image '${image}' is not on the engine of the cluster '${cluster.name}'; pull it first with '${dockerOf(cluster)} pull ${image}'`
          : `The image '${image}' is not on this host; pull it first with 'docker pull ${image}' or pass --pull`,
      );
    }
    if (!hasGpu) {
      const where = cluster ? `the engine of the cluster '${cluster.name}'` : "this host";
      throw new CodedError("InvalidInput", `The codespec asks for '${resources?.gpu}' GPUs and ${where} has none`);
    }
  };

const dockerOf = ({ dockerHost }: { dockerHost: string | undefined }): string =>
  dockerHost === undefined ? "docker" : `docker --host ${dockerHost}`;
