import type { Client } from "../../client/client.ts";
import { askDocker } from "./docker-engine.ts";
import type { Host } from "../terminal/host.ts";
import { lineBatchesOf } from "../../client/line-reader.ts";
import type { Log } from "../terminal/log.ts";
import type { RunRequest } from "./run-request.ts";
import type { CodespecFile } from "../read/spec-file.ts";

/** Pulls the images of a run through the Docker engine, where the server runs its containers on one. */
export async function pullImages(
  client: Client,
  request: RunRequest,
  { host, log }: { host: Host; log: Log },
): Promise<void> {
  const { capabilities } = await client.metadata();
  if (!capabilities?.includes("Docker")) {
    log.warn("The server does not run containers on Docker; --pull is ignored");
    return;
  }
  const codespecs = [request.job.codespec, request.worker?.codespec].filter((codespec) => codespec !== undefined);
  const images = new Set<string>();
  for (const codespec of codespecs) images.add(await imageOf(client, codespec));
  for (const image of images) if (image !== "") await pullImage(image, host.config.dockerHost, log);
}

async function imageOf(client: Client, codespec: string | CodespecFile): Promise<string> {
  if (typeof codespec === "object") return codespec.image ?? "";
  return (await client.codespecs.find(codespec)).image;
}

/** An image that is here serves when it cannot be pulled: nobody is then left without a run. */
async function pullImage(image: string, dockerHost: string | undefined, log: Log): Promise<void> {
  log.info("Pulling image", { image });
  const isTagged = /[:@][^/]*$/.test(image);
  const query = new URLSearchParams({ fromImage: image, ...(isTagged ? {} : { tag: "latest" }) });
  const response = await askDocker(dockerHost, "POST", `/images/create?${query.toString()}`);
  let failure: string | undefined;
  let last = "";
  for await (const { lines, cut } of lineBatchesOf(response as AsyncIterable<Buffer>)) {
    for (const line of cut ? [...lines, cut] : lines) {
      const { error, message, status, id } = JSON.parse(line.toString("utf8")) as Partial<Record<string, string>>;
      failure ??= error ?? (response.statusCode === 200 ? undefined : message);
      if (status !== undefined && status !== last && !/^(?:Downloading|Extracting)$/.test(status)) {
        log.info(status, { image, layer: id });
      }
      last = status ?? last;
    }
  }
  if (failure === undefined && response.statusCode === 200) {
    log.info("Pulled image", { image });
    return;
  }
  const present = await askDocker(dockerHost, "GET", `/images/${encodeURIComponent(image)}/json`);
  present.resume();
  if (present.statusCode !== 200) {
    throw new Error(`the image '${image}' could not be pulled: ${failure ?? response.statusCode}`);
  }
  log.warn("The image could not be pulled; the one that is here is used", { image, error: failure });
}
