import { messageOf } from "../model/errors.ts";
import type { BufferPlace, PumpSpec } from "../model/run/pump.ts";
import type { BlobSource } from "../buffers/format/blobs.ts";
import { type BufferReading, readBuffer } from "../buffers/format/reader.ts";
import { newWriterToken } from "../buffers/format/owner.ts";
import { markFailed, writeBuffer, type WriteOptions } from "../buffers/format/writer.ts";
import { type Journal, sometimes } from "./journal.ts";

/** Buffers as pipes see them: by id, with addresses, outages and retries handled. */
export interface PipeBuffers {
  /** The buffer's bytes up to its verified end. A piece is valid until the next one is asked for. */
  read(bufferId: string, signal: AbortSignal): BufferReading;
  /**
   * Writes `source` to the buffer up to the end mark; a failure of `source` or an abort marks the buffer failed. A
   * chunk is not used anymore once the next one is asked for. `mayEnd` holds back the final blob, see {@link WriteOptions}.
   * @throws CodedError Conflict when another writer has begun or ended the buffer
   */
  write(
    bufferId: string,
    source: AsyncIterable<Uint8Array>,
    options: Required<Pick<WriteOptions, "signal" | "mayEnd">>,
  ): Promise<void>;
  /**
   * Gives a buffer a failed end mark, within a few seconds; one that has an end mark or another writer keeps what it
   * has. Never throws.
   */
  markFailed(bufferId: string): Promise<void>;
}

/** Blocks in flight of one pipe: each can be held in memory, and the store is on this machine or near it. */
const PARALLEL = 4;
/** Marking outputs after a failure must not hold up the end. */
const MARK_MS = 3000;
/** However long API and data plane are unreachable, only the run's own deadline ends the transfer. */
const OUTAGE_MS = Number.POSITIVE_INFINITY;

type Reach = (bufferId: string, writeable: boolean, signal: AbortSignal) => BlobSource;

/** The buffers of `spec`, each reached as its place requires. Only the code for that is loaded. */
export async function connectBuffers(spec: PumpSpec, journal: Journal): Promise<PipeBuffers> {
  const reach = await reachOf(spec, journal);
  const { writer = newWriterToken() } = spec;
  const options = (bufferId: string, signal: AbortSignal) => ({
    dop: PARALLEL,
    outageMs: OUTAGE_MS,
    signal,
    onRetry: sometimes((reason) => journal("warn", "retrying a request to the data plane", { bufferId, reason })),
    onWarning: (warning: string) => journal("warn", "warning from a transfer", { bufferId, warning }),
  });
  return {
    read: (bufferId, signal) =>
      readBuffer(reach(bufferId, false, signal), { ...options(bufferId, signal), reuseMemory: true }),

    async write(bufferId, source, { signal, mayEnd }) {
      const { sizeBytes } = await writeBuffer(source, reach(bufferId, true, signal), {
        ...options(bufferId, signal),
        writer,
        mustMark: true,
        mayEnd,
      });
      journal("info", "buffer complete", { bufferId, sizeBytes });
    },

    async markFailed(bufferId) {
      const marking = markFailed(reach(bufferId, true, AbortSignal.timeout(MARK_MS)), writer);
      await marking.catch((err: unknown) => {
        journal("warn", "could not write the failed end mark", { bufferId, reason: messageOf(err) });
      });
    },
  };
}

async function reachOf({ buffers, pipes }: PumpSpec, journal: Journal): Promise<Reach> {
  const byPlace = new Map<string, Reach>();
  const byBuffer = new Map<string, Reach>();
  for (const { bufferId, place = buffers } of pipes) {
    if (place === undefined) throw new Error(`There is no place for the buffer '${bufferId}'`);
    const key = JSON.stringify(place);
    const reach = byPlace.get(key) ?? (await reachIn(place, journal));
    byPlace.set(key, reach);
    byBuffer.set(bufferId, reach);
  }
  return (bufferId, ...access) => {
    const reach = byBuffer.get(bufferId);
    if (!reach) throw new Error(`The buffer '${bufferId}' is not one of the pipes`);
    return reach(bufferId, ...access);
  };
}

async function reachIn(place: BufferPlace, journal: Journal): Promise<Reach> {
  if ("storeDir" in place) {
    const { createFilesystemStore } = await import("../buffers/filesystem/filesystem-store.ts");
    const { storedBlobs } = await import("../buffers/format/stored-blobs.ts");
    const store = createFilesystemStore(place.storeDir);
    return (bufferId) => storedBlobs(store, bufferId);
  }
  const [{ connectApi }, { signedBlobs }] = await Promise.all([
    import("./api-client.ts"),
    import("./signed-access.ts"),
  ]);
  const ask = connectApi(place.api, journal);
  return (bufferId, writeable, signal) => signedBlobs(ask, { bufferId, writeable, signal, ttl: place.accessTtl });
}
