import type { Client } from "../../client/client.ts";
import { EngineRefusal } from "../../docker/engine/engine-call.ts";
import { connectEngine, type Engine } from "../../docker/engine/engine.ts";
import type { Host } from "../terminal/host.ts";
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
  const engine = connectEngine(host.config.dockerHost);
  for (const image of images) if (image !== "") await pullImage(engine, image, log);
}

async function imageOf(client: Client, codespec: string | CodespecFile): Promise<string> {
  if (typeof codespec === "object") return codespec.image ?? "";
  return (await client.codespecs.find(codespec)).image;
}

/** An image that is here is used if it cannot be pulled, so that a run does not depend on a registry. */
async function pullImage(engine: Engine, image: string, log: Log): Promise<void> {
  log.info("Pulling image", { image });
  let last = "";
  try {
    await engine.pullImage(image, ({ status, layer }) => {
      if (status !== last && !/^(?:Downloading|Extracting)$/.test(status)) log.info(status, { image, layer });
      last = status;
    });
    log.info("Pulled image", { image });
  } catch (err) {
    if (!(err instanceof EngineRefusal)) throw err;
    const isHere = await engine.hasImage(image);
    if (!isHere) throw new Error(`the image '${image}' could not be pulled: ${err.message}`, { cause: err });
    log.warn("The image could not be pulled; the local one is used", { image, error: err.message });
  }
}
