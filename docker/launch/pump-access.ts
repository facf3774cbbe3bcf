import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "../../disk/write-whole.ts";
import { CodedError } from "../../model/errors.ts";
import type { ApiPumps } from "../../model/ports/pump-channel.ts";
import { pumpPathOf, type BufferPlace, type PumpPipe } from "../../model/run/pump.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { runFolderOf } from "./attempt-folder.ts";

/** How pumps reach buffers that are not on a disk of this machine: by URLs for which they ask our API. */
export interface DataPlaneForPumps {
  /** The listener of the data plane, as `http+unix:///path:` or a URL over TCP. */
  url: string;
  pumps: Pick<ApiPumps, "newToken" | "open">;
}

export interface PlacePorts {
  runsDir: string;
  /** The folder with a buffer; undefined when only the data plane leads to it. @throws CodedError Unavailable */
  placeOf(bufferId: string): Promise<{ storeDir: string } | undefined>;
  dataPlane: DataPlaneForPumps | undefined;
}

/** The pipes of a replica, each with the place at which its pump finds the buffer. @throws CodedError Unavailable, LaunchFailed */
export async function placePipes(
  ports: PlacePorts & { replica: number },
  run: RunRecord,
  pipes: readonly PumpPipe[],
): Promise<PumpPipe[]> {
  const places = await Promise.all(pipes.map(({ bufferId }) => ports.placeOf(bufferId)));
  const access = places.includes(undefined) ? await openAccess(ports, run) : undefined;
  return pipes.map((pipe, at) => {
    const place: BufferPlace | undefined = places[at] ?? access;
    return { ...pipe, ...(place && { place }) };
  });
}

/**
 * The token is that of the replica, in the run's folder: one attempt must not shut out the pump of another that turns out to have
 * been started.
 */
async function openAccess(
  { dataPlane, runsDir, replica }: PlacePorts & { replica: number },
  run: RunRecord,
): Promise<BufferPlace> {
  if (!dataPlane) {
    throw new CodedError(
      "LaunchFailed",
      "The worker does not know the URL of the data plane, which leads to the buffers",
    );
  }
  const tokenFile = join(runFolderOf(runsDir, run), `.token-${replica}`);
  writeWhole(tokenFile, dataPlane.pumps.newToken(), { once: true });
  const address = { id: run.id, ...(run.uid !== undefined && { uid: run.uid }) };
  await dataPlane.pumps.open({ run: address, replica }, (await readFile(tokenFile, "utf8")).trim());
  const api = { url: dataPlane.url, path: pumpPathOf(address, replica), tokenFile };
  return { api, accessTtl: run.bufferAccessTtl };
}
