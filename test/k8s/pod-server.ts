import { mkdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { createDataPlane } from "../../api/data-plane/data-plane.ts";
import { pumpRoutes } from "../../api/data-plane/pump-routes.ts";
import { loadSigningKeys } from "../../api/data-plane/signing-keys.ts";
import { createSigner, createVerifier } from "../../api/data-plane/signing.ts";
import { createPumpService } from "../../api/services/pump-service.ts";
import { createFilesystemStore } from "../../buffers/filesystem/filesystem-store.ts";
import { notFound } from "../../model/errors.ts";
import type { ApiPumps, PumpKey } from "../../model/ports/pump-channel.ts";
import type { BufferStore } from "../../model/ports/store.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { apiPumps } from "../../runs/api-pumps.ts";
import { createChanges } from "../../waiting/changes.ts";
import { createFakePumpRecords, type FakePumpRecords } from "../fakes/pump-records.ts";

/** The part of the API that pods use, over TCP, with a store in a folder and records in memory. */
export interface PodServer {
  url: string;
  store: BufferStore;
  records: FakePumpRecords;
  pumps: ApiPumps;
  /** The pumps of the run can use it from now on; its buffers exist. */
  add(run: RunRecord): void;
  close(): Promise<void>;
}

/** `host`: the address of this machine as pods know it. */
export async function startPodServer(host: string): Promise<PodServer> {
  const dir = await mkdtemp(join(tmpdir(), "tyger-pods-"));
  const buffersDir = join(dir, "buffers");
  mkdirSync(buffersDir);
  const store = createFilesystemStore(buffersDir);
  const keys = await loadSigningKeys(undefined, join(dir, "keys"));
  const sign = createSigner(keys, join(dir, "none.sock"));
  const records = createFakePumpRecords();
  const changes = createChanges<PumpKey>((changed) => records.listen(changed));
  const runs = new Map<number, RunRecord>();
  const app = createDataPlane({ store, verify: createVerifier(keys), log: pino({ level: "silent" }) });
  const service = createPumpService({
    records,
    changes,
    runs: { load: async ({ id }) => runs.get(id) ?? missing() },
    buffers: {
      access: async (_caller, bufferId, { writeable, baseUrl }) =>
        sign({ bufferId, writeable, ttlSeconds: 3600, baseUrl }),
    },
  });
  let url = "";
  await app.register(pumpRoutes(service, { baseUrlFor: () => url }));
  // The address can be that of a bridge that is there as soon as there are pods.
  await app.listen({ host: "0.0.0.0", port: 0 });
  const { port } = app.server.address() as AddressInfo;
  url = `http://${host}:${port}`;
  return {
    url,
    store,
    records,
    pumps: apiPumps(records, changes),
    add(run) {
      runs.set(run.id, run);
      records.add(run);
      for (const id of Object.values(run.job.buffers ?? {})) mkdirSync(join(buffersDir, id), { recursive: true });
    },
    async close() {
      service.close();
      await app.close();
      await changes.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

function missing(): never {
  throw notFound();
}
