import { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { callbackify } from "node:util";
import { messageOf } from "../model/errors.ts";
import type { PumpSpec } from "../model/run/pump.ts";
import type { BlobSource } from "../buffers/format/blobs.ts";
import { readBuffer } from "../buffers/format/reader.ts";
import { markFailed, writeBuffer } from "../buffers/format/writer.ts";
import type { PipeBuffers } from "./buffers.ts";
import { type Journal, sometimes } from "./journal.ts";

/** Blocks in flight of one pipe: each may be held in memory, and the store is on this machine or near it. */
const PARALLEL = 4;
/** What is left to say when all is lost: it must not hold up the end. */
const LAST_WORDS_MS = 3000;
/** However long API and data plane are away, the run's own deadline decides, and whoever keeps it tells the pump. */
const OUTAGE_MS = Number.POSITIVE_INFINITY;

type Reach = (bufferId: string, writeable: boolean, signal: AbortSignal) => BlobSource;

/** The buffers of `spec`, reached in the way that their place asks for. Only that way is loaded. */
export async function connectBuffers(spec: PumpSpec, journal: Journal): Promise<PipeBuffers> {
  const reach = await reachOf(spec, journal);
  const options = (bufferId: string, signal: AbortSignal) => ({
    dop: PARALLEL,
    outageMs: OUTAGE_MS,
    signal,
    onRetry: sometimes((reason) => journal("warn", "the data plane is asked again", { bufferId, reason })),
    onWarning: (warning: string) => journal("warn", "the transfer warns", { bufferId, warning }),
  });
  return {
    async read(bufferId, write, signal) {
      const pass = callbackify(write);
      const sink = new Writable({ highWaterMark: 1, write: (chunk: Uint8Array, _encoding, done) => pass(chunk, done) });
      await readBuffer(reach(bufferId, false, signal), sink, options(bufferId, signal));
      sink.end();
      await finished(sink);
    },

    async write(bufferId, source, signal) {
      const { sizeBytes } = await writeBuffer(source, reach(bufferId, true, signal), options(bufferId, signal));
      journal("info", "the buffer is complete", { bufferId, sizeBytes });
    },

    async markFailed(bufferId) {
      const marking = markFailed(reach(bufferId, true, AbortSignal.timeout(LAST_WORDS_MS)));
      await marking.catch((err: unknown) => journal("warn", "the end mark is missing", { reason: messageOf(err) }));
    },
  };
}

async function reachOf({ buffers }: PumpSpec, journal: Journal): Promise<Reach> {
  if ("storeDir" in buffers) {
    const { createFilesystemStore } = await import("../buffers/filesystem/filesystem-store.ts");
    const { storedBlobs } = await import("../buffers/filesystem/stored-blobs.ts");
    const store = createFilesystemStore(buffers.storeDir);
    return (bufferId) => storedBlobs(store, bufferId);
  }
  const { signedBlobs } = await import("./signed-access.ts");
  return (bufferId, writeable, signal) => signedBlobs(buffers, { bufferId, writeable, signal, journal });
}
