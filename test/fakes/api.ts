import type { RunIdentity } from "../../model/run/identity.ts";
import type { FastifyInstance } from "fastify";
import { createApp } from "../../api/app.ts";
import { type AccessControl, openAccess } from "../../api/auth/access.ts";
import { createBufferService, type AccessGrant } from "../../api/services/buffer-service.ts";
import { createCodespecService } from "../../api/services/codespec-service.ts";
import { createDataPlaneAddress, type DataOrigins } from "../../api/data-plane/data-plane-address.ts";
import { createLog } from "../../config/log.ts";
import { createChanges } from "../../waiting/changes.ts";
import { createRunService } from "../../api/runs/run-service.ts";
import { createServerService } from "../../api/services/server-service.ts";
import { readersOf } from "../../runs/clusters.ts";
import { dockerChecks } from "../../runs/mode-checks.ts";
import { SOLE_CLUSTER } from "../../model/run/names.ts";
import { LOCAL_USER, type Caller } from "../../model/caller.ts";
import type { ComputeReader } from "../../model/ports/compute.ts";
import { CodedError } from "../../model/errors.ts";
import type { LogArchive, LogLine } from "../../model/ports/log.ts";
import type { LocationNames } from "../../model/buffer/location.ts";
import type { BufferStore } from "../../model/ports/store.ts";
import { storesIn } from "./locations.ts";
import { createFakeRecords, type FakeRecords } from "./records.ts";

/** The API over ports in memory. */
export interface FakeApi extends FakeRecords {
  app: FastifyInstance;
  /** `start 7`, `cancel 7`, in order. */
  told: string[];
  places: Set<string>;
  /** The one blob of a buffer. */
  written: Map<string, string>;
  grants: AccessGrant[];
  images: Set<string>;
  /** The engine's log of any run; replaced by tests. */
  liveLogs: ComputeReader["logs"];
  archived: Map<number, LogLine[]>;
  logged: { message: string; [key: string]: unknown }[];
  isHealthy: boolean;
  /** The party that all requests are from. */
  caller: Caller;
}

export function createFakeApi({
  maxOpenRuns = 1000,
  origins,
  locations,
  clusters: several,
  access,
}: {
  maxOpenRuns?: number;
  origins?: DataOrigins;
  locations?: LocationNames;
  /** Else there is one, which clients do not see. */
  clusters?: Record<string, Partial<ComputeReader>>;
  access?: AccessControl;
} = {}): FakeApi {
  const records = createFakeRecords();
  const refuse = (): never => {
    throw new Error("not expected by this test");
  };
  const store: BufferStore = {
    provision: async (id) => void fake.places.add(id),
    exists: async (id) => fake.places.has(id),
    delete: async (id) => void fake.places.delete(id),
    put: refuse,
    putWhole: refuse,
    get: refuse,
    getWhole: refuse,
    async head(id, path) {
      if (fake.written.get(id) === path) return { sizeBytes: 0, contentMd5: "", metadata: {} };
      throw new CodedError("BlobNotFound", `The blob '${path}' does not exist`);
    },
    waitFor: refuse,
    list: refuse,
  };
  const compute: ComputeReader = {
    hasImage: async (image) => {
      if (image === "engine-away") throw new CodedError("Unavailable", "The engine does not answer");
      return fake.images.has(image);
    },
    hasGpu: async () => false,
    logs: (...given) => fake.liveLogs(...given),
  };
  const clusters = several
    ? {
        all: Object.entries(several).map(([name, own]) => {
          const reader = { ...compute, ...own };
          return { name, compute: reader, checkMode: dockerChecks(reader, { name, dockerHost: `tcp://${name}:2375` }) };
        }),
        areShown: true,
      }
    : { all: [{ name: SOLE_CLUSTER, compute, checkMode: dockerChecks(compute) }], areShown: false };
  const readers = readersOf(clusters);
  const archive: Pick<LogArchive, "read"> = {
    async read(run, { tailLines, since = "" }) {
      const lines = fake.archived.get(run.id)?.filter(({ at }) => at > since);
      if (lines === undefined) return undefined;
      const shown = tailLines === undefined ? lines : lines.slice(lines.length - tailLines);
      return (async function* () {
        yield shown;
      })();
    },
  };
  const changes = createChanges<number>((changed) => records.runs.listen(changed));
  const address = createDataPlaneAddress("/run/data.sock", () => origins ?? { control: "http://127.0.0.1:9000" });
  const sign = (grant: AccessGrant): string => {
    fake.grants.push(grant);
    return `${grant.baseUrl ?? "socket"}/${grant.bufferId}/${fake.grants.length}`;
  };
  const workflows = {
    start: ({ id }: RunIdentity) => void fake.told.push(`start ${id}`),
    cancel: ({ id }: RunIdentity) => void fake.told.push(`cancel ${id}`),
  };
  const logged: FakeApi["logged"] = [];
  const fake: FakeApi = Object.assign(records, {
    told: [],
    places: new Set<string>(),
    written: new Map(),
    grants: [],
    images: new Set(["ubuntu"]),
    async *liveLogs() {},
    archived: new Map(),
    logged,
    isHealthy: true,
    caller: LOCAL_USER,
    app: createApp({
      codespecs: createCodespecService(records.codespecs),
      buffers: createBufferService(records.buffers, storesIn(store, locations), sign),
      runs: createRunService({
        ...records,
        store: storesIn(store, locations),
        compute: readers,
        archive,
        changes,
        workflows,
        clusters,
        maxOpenRuns,
      }),
      server: createServerService({
        compute: readers,
        capabilities: ["Docker"],
        probes: [
          async () => {
            if (!fake.isHealthy) throw new Error("away");
          },
        ],
        databaseVersion: 3,
      }),
      address,
      access: access ?? openAccess(() => fake.caller),
      log: createLog("debug", "test", { write: (line) => void logged.push(JSON.parse(line)) }),
    }),
  });
  return fake;
}
