import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { serveApi, type ServedApi } from "../../api/serve.ts";
import { createFilesystemStore } from "../../buffers/filesystem/filesystem-store.ts";
import { createLog } from "../../config/log.ts";
import { readApiConfig } from "../../config/server.ts";
import type { Database } from "../../model/ports/database.ts";
import { storesIn } from "../fakes/locations.ts";
import { createFakeRecords } from "../fakes/records.ts";

export interface LogLine {
  level: string;
  message: string;
  [key: string]: unknown;
}

/** An API process with the configuration file `text`, over records in memory; its sockets are in `folder`. */
export async function startApi(
  folder: string,
  { text = "", environment = {}, logged }: { text?: string; environment?: Record<string, string>; logged: LogLine[] },
): Promise<ServedApi> {
  await writeFile(join(folder, "tyger.yml"), text);
  const config = readApiConfig({
    DATABASE_URL: "postgres://none",
    TEMPORAL_ADDRESS: "127.0.0.1:1",
    TYGER_DATA_DIR: folder,
    TYGER_API_SOCKET: join(folder, "api.sock"),
    TYGER_DATA_SOCKET: join(folder, "data.sock"),
    TYGER_CONFIG: join(folder, "tyger.yml"),
    ...environment,
  });
  const records = createFakeRecords();
  const db = { ...records, installationId: "test", schemaVersion: 1, ping: async () => {}, close: async () => {} };
  const compute = { hasImage: async () => true, hasGpu: async () => false, async *logs() {} };
  const log = createLog("info", "test", { write: (line) => void logged.push(JSON.parse(line) as LogLine) });
  return serveApi(config, log, {
    // The parts of the port that only a worker calls are missing.
    db: db as unknown as Database,
    store: storesIn(createFilesystemStore(join(folder, "buffers"))),
    archive: { read: async () => undefined },
    clusters: { all: [{ name: "docker", compute, checkMode: async () => {} }], areShown: false },
    capabilities: ["Docker"],
    checkStorage: async () => {},
  });
}
