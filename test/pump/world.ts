import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { fromUrl } from "../../buffers/access/access.ts";
import { blobsOver } from "../../buffers/access/blob-client.ts";
import { blobPathOf } from "../../buffers/format/buffer-format.ts";
import { readBuffer } from "../../buffers/format/reader.ts";
import { writeBuffer } from "../../buffers/format/writer.ts";
import { CodedError } from "../../model/errors.ts";
import type { BufferStore } from "../../model/ports/store.ts";
import { startDataPlane, type TestDataPlane } from "../data-plane.ts";
import { startPumpApi, type PumpTestApi } from "./pump-api.ts";

/** The environment of a pump: a real data plane, and the part of the API that pumps use. */
export interface World {
  plane: TestDataPlane;
  api: PumpTestApi;
  /** Lifetime of issued URLs. */
  ttlSeconds: number;
  /** A new complete buffer with these bytes. */
  fill(bytes: Uint8Array): Promise<string>;
  /** All bytes of a buffer up to its verified end. */
  contentOf(bufferId: string): Promise<Buffer>;
  /** Blobs of the buffer, and the text of its end mark. */
  blobsOf(bufferId: string): Promise<string[]>;
  endOf(bufferId: string): Promise<string>;
  /** Whether a reader that never looks at the end mark finds an end: the empty blob after the others. */
  hasFinalBlob(bufferId: string): Promise<boolean>;
  close(): Promise<void>;
}

export async function startWorld(): Promise<World> {
  const plane = await startDataPlane();
  const socketPath = join(plane.dir, "api.sock");
  const api = startPumpApi(plane, socketPath, () => world.ttlSeconds);
  const world: World = {
    plane,
    api,
    ttlSeconds: 3600,
    async fill(bytes) {
      const id = await plane.newBuffer();
      await writeBuffer(Readable.from([bytes]), blobsOver(fromUrl(plane.urlOf(id, true))));
      return id;
    },
    async contentOf(bufferId) {
      const content: Uint8Array[] = [];
      for await (const piece of readBuffer(blobsOver(fromUrl(plane.urlOf(bufferId, false))))) content.push(piece);
      return Buffer.concat(content);
    },
    async blobsOf(bufferId) {
      return (await plane.store.list(bufferId, { limit: 1000 })).paths;
    },
    async endOf(bufferId) {
      const { body } = await plane.store.get(bufferId, ".bufferend");
      return (await buffer(body)).toString();
    },
    hasFinalBlob: (bufferId) => hasFinalBlob(plane.store, bufferId),
    async close() {
      await api.close();
      await plane.close();
    },
  };
  await api.listen();
  return world;
}

/** As {@link World.hasFinalBlob}. */
export async function hasFinalBlob(store: BufferStore, bufferId: string): Promise<boolean> {
  for (let number = 0; ; number++) {
    const sizeBytes = await store.head(bufferId, blobPathOf(number)).then(
      (blob) => blob.sizeBytes,
      (err: unknown) => {
        if (!(err instanceof CodedError) || err.code !== "BlobNotFound") throw err;
        return undefined;
      },
    );
    if (!sizeBytes) return sizeBytes === 0;
  }
}
