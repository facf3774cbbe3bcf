import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/postgres-js";
import { migrate } from "drizzle-orm/postgres-js/migrator";
import { base32 } from "../model/buffer/buffer.ts";
import { CodedError } from "../model/errors.ts";
import type { RunRecords } from "../model/ports/records.ts";
import type { Database } from "../model/ports/database.ts";
import type { PumpKey } from "../model/ports/pump-channel.ts";
import { every, retry } from "../waiting/retry.ts";
import { bufferRecords } from "./buffers.ts";
import { launchClaims } from "./claims.ts";
import { drizzleOf, endClient, openClient, type DatabaseServer, type Db } from "./client.ts";
import { codespecRecords } from "./codespecs.ts";
import { answered, guarded } from "./failures.ts";
import { openLeases } from "./leases.ts";
import { locationRecords } from "./locations.ts";
import { listenTo, type Channel } from "./listen.ts";
import { pumpRecords } from "./pumps.ts";
import { clusterRunRecords } from "./runs/cluster-runs.ts";
import { runRecords } from "./runs/runs.ts";
import { installation } from "./schema.ts";

interface OpenOptions {
  /**
   * The database itself, where `url` is that of a transaction pooler: notifications and migrations need a session of their
   * own.
   */
  directUrl?: string | undefined;
  /** Else `db/migrations` of the package. */
  migrationsFolder?: string;
  /** How long to wait for a server that does not answer yet. */
  waitMs?: number;
}

const MAX_CONNECTIONS = 10;
const WAIT_MS = 60_000;
const RETRY_AFTER_MS = 200;
const PING_WITHIN_MS = 5_000;

/**
 * Waits for the server, brings the schema up to date and opens a pool. Any number of processes can do so at once.
 * @throws CodedError Unavailable when the server does not answer in time
 */
export async function openDatabase(url: string, options: OpenOptions = {}): Promise<Database> {
  const { directUrl, migrationsFolder = join(packageRoot(), "db/migrations"), waitMs = WAIT_MS } = options;
  const server = { url, isPooler: directUrl !== undefined };
  const direct = { url: directUrl ?? url, isPooler: false };
  const untilMs = Date.now() + waitMs;
  const { installationId, schemaVersion } = await untilAnswered(() => migrated(direct, migrationsFolder), untilMs);
  const client = openClient(server, { max: MAX_CONNECTIONS });
  const db = drizzleOf(client);
  if (server.isPooler) await untilAnswered(() => checkInstallation(db, installationId), untilMs);
  const leases = openLeases(server);
  const listeners = new Set<{ close(): Promise<void> }>();
  const listen = async (channel: Channel, heard: (payload: string | undefined) => void) => {
    const listener = await listenTo(channel, direct, heard);
    listeners.add(listener);
    return listener;
  };
  const listenToRuns: RunRecords["listen"] = (changed) =>
    listen("tyger_runs", (id) => changed(id === undefined ? undefined : Number(id)));
  return {
    installationId,
    schemaVersion,
    codespecs: guarded(codespecRecords(db)),
    buffers: guarded(bufferRecords(db)),
    locations: guarded(locationRecords(db)),
    runs: { ...guarded(runRecords(db)), listen: listenToRuns },
    runsIn: (cluster) => ({ ...guarded(clusterRunRecords(db, cluster)), listen: listenToRuns }),
    pumps: {
      ...guarded(pumpRecords(db)),
      // The trigger writes keys.
      listen: (changed) => listen("tyger_pumps", (key) => changed(key as PumpKey | undefined)),
    },
    claims: guarded(launchClaims(db)),
    leases,
    ping: async () => {
      await answered(db.execute(sql`select 1`), PING_WITHIN_MS);
    },
    close: async () => {
      await Promise.all([...listeners].map((listener) => listener.close()));
      await Promise.all([endClient(client), leases.close()]);
    },
  };
}

type Prepared = Pick<Database, "installationId" | "schemaVersion">;

function untilAnswered<T>(work: () => Promise<T>, untilMs: number): Promise<T> {
  return retry(() => answered(work(), Math.max(1, untilMs - Date.now())), {
    pauses: every(RETRY_AFTER_MS),
    untilMs,
    passes: (err) => err instanceof CodedError && err.code === "Unavailable",
  });
}

async function migrated(server: DatabaseServer, migrationsFolder: string): Promise<Prepared> {
  // One connection, because the lock belongs to it and is released when it ends.
  const client = openClient(server, { max: 1, statementTimeoutMs: 0 });
  try {
    const db = drizzle(client);
    await db.execute(sql`select pg_advisory_lock(hashtextextended('tyger migrations', 0))`);
    await migrate(db, { migrationsFolder });
    const id = base32(randomBytes(7)).slice(0, 10);
    await db.insert(installation).values({ id }).onConflictDoNothing();
    const [row] = await db.select().from(installation);
    if (!row) throw new Error("The database has no installation id");
    const [done] = await db.execute<{ count: number }>(
      sql`select count(*)::int as count from drizzle.__drizzle_migrations`,
    );
    return { installationId: row.id, schemaVersion: done?.count ?? 0 };
  } finally {
    await endClient(client);
  }
}

/** Two URLs of different databases would look like one whose notifications never arrive. */
async function checkInstallation(db: Db, id: string): Promise<void> {
  const [table] = await db.execute(sql`select from pg_class where oid = to_regclass('installation')`);
  const isSame = table !== undefined && (await db.$count(installation, eq(installation.id, id))) === 1;
  if (!isSame) throw new Error("DATABASE_URL and DATABASE_DIRECT_URL lead to different databases");
}

/** The folder of our package.json: this file runs from db/ or, bundled, from dist/. */
function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (existsSync(file) && isOurs(JSON.parse(readFileSync(file, "utf8")))) return folder;
    if (folder === dirname(folder)) throw new Error("The folder of the package was not found");
  }
}

const isOurs = (manifest: unknown): boolean =>
  typeof manifest === "object" && manifest !== null && "name" in manifest && manifest.name === "tyger";
