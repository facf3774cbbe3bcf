import { rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
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
import type { BufferPlace } from "../../model/run/pump.ts";
import { startDataPlane, type TestDataPlane } from "../data-plane.ts";

/** The environment of a pump: a real data plane, and the one API route that it uses. */
export interface World {
  plane: TestDataPlane;
  /** The two ways to the same buffers. */
  places: Record<"store" | "urls", BufferPlace>;
  /** Lifetime of issued URLs. */
  ttlSeconds: number;
  /** `path?query` of each request to the API. */
  asked: string[];
  stopApi(): Promise<void>;
  listenApi(): Promise<void>;
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
  const asked: string[] = [];
  const answer = (): Server =>
    createServer((req, res) => {
      asked.push(req.url ?? "");
      const { pathname, searchParams } = new URL(req.url ?? "", "http://api");
      const id = /^\/buffers\/([a-z2-7]+)\/access$/.exec(pathname)?.[1] ?? "";
      void plane.store.exists(id).then((exists) => {
        if (req.method !== "POST" || !exists) return res.writeHead(404).end("{}");
        const uri = plane.urlOf(id, searchParams.get("writeable") === "true", world.ttlSeconds);
        return res.writeHead(201, { "content-type": "application/json" }).end(JSON.stringify({ uri }));
      });
    });
  let api = answer();
  const world: World = {
    plane,
    places: {
      store: { storeDir: join(plane.dir, "buffers") },
      urls: { apiUrl: `http+unix://${socketPath}:`, accessTtl: "01:00:00" },
    },
    ttlSeconds: 3600,
    asked,
    async stopApi() {
      api.closeAllConnections();
      await new Promise<void>((resolve) => void api.close(() => resolve()));
    },
    async listenApi() {
      rmSync(socketPath, { force: true });
      api = answer();
      await new Promise<void>((resolve) => void api.listen(socketPath, resolve));
    },
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
      await world.stopApi();
      await plane.close();
    },
  };
  await world.listenApi();
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
