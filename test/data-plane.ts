import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { createDataPlane } from "../api/data-plane/data-plane.ts";
import { loadSigningKeys } from "../api/data-plane/signing-keys.ts";
import { createSigner, createVerifier } from "../api/data-plane/signing.ts";
import { createFilesystemStore } from "../buffers/filesystem/filesystem-store.ts";
import { newBufferId } from "../runs/buffers.ts";
import type { BufferStore } from "../model/ports/store.ts";

export interface TestDataPlane {
  dir: string;
  socketPath: string;
  store: BufferStore;
  /** A new buffer with its place. */
  newBuffer(): Promise<string>;
  urlOf(bufferId: string, writeable: boolean, ttlSeconds?: number): string;
  /** Stops responding, like a killed server; `listen` starts it again on the same socket. */
  stop(): Promise<void>;
  listen(): Promise<void>;
  close(): Promise<void>;
}

/** A real data plane on a Unix socket in its own folder, over a real store there unless it is given another one. */
export async function startDataPlane(given?: BufferStore): Promise<TestDataPlane> {
  const dir = await mkdtemp(join(tmpdir(), "tyger-data-"));
  const socketPath = join(dir, "data.sock");
  await mkdir(join(dir, "buffers"));
  const store = given ?? createFilesystemStore(join(dir, "buffers"));
  const keys = await loadSigningKeys(undefined, join(dir, "keys"));
  const sign = createSigner(keys, socketPath);
  const start = () => createDataPlane({ store, verify: createVerifier(keys), log: pino({ level: "silent" }) });
  let app = start();
  await app.listen({ path: socketPath });
  return {
    dir,
    socketPath,
    store,
    async newBuffer() {
      const id = newBufferId();
      await store.provision(id);
      return id;
    },
    urlOf: (bufferId, writeable, ttlSeconds = 3600) => sign({ bufferId, writeable, ttlSeconds }),
    stop: () => app.close(),
    async listen() {
      app = start();
      await app.listen({ path: socketPath });
    },
    async close() {
      await app.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
