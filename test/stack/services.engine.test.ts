import { expect, inject, test } from "vitest";
import { readStackConfig } from "../../config/stack.ts";
import { processesOf } from "../../stack/server-processes.ts";
import { settleDatabase } from "../../stack/services.ts";
import type { StackSettings } from "../../stack/supervisor/settings.ts";
import { freshDatabase } from "../engines.ts";

const settle = (environment: Record<string, string>): Promise<StackSettings["postgres"]> =>
  settleDatabase(readStackConfig({ TYGER_DATA_DIR: "/none", ...environment }, 1), () => {});

test("the servers get both URLs of a given database, each after it was tried", async () => {
  const fresh = await freshDatabase();
  const { url } = fresh;
  const postgres = await settle({ DATABASE_URL: url, DATABASE_DIRECT_URL: inject("postgresUrl") });
  await fresh.drop();
  const address = new URL(url).host;
  expect(postgres).toEqual({ kind: "given", url, directUrl: inject("postgresUrl"), address });
  const settings = {
    version: "1",
    paths: { dataDir: "/d", runtimeDir: "/r", stateDir: "/s", apiSocket: "/a", dataSocket: "/b" },
    node: "node",
    dist: "/dist",
    dockerHost: "",
    path: "",
    inherited: {},
    postgres,
    temporal: { kind: "given", address: "t:1", namespace: "default" },
  } as const;
  for (const { env } of processesOf({ ...settings, clusters: [], kubernetes: [], stores: [] })[1]) {
    expect(env).toMatchObject({ DATABASE_URL: url, DATABASE_DIRECT_URL: inject("postgresUrl") });
  }
});

test("the URL that cannot be used is named", async () => {
  const url = inject("postgresUrl");
  await expect(settle({ DATABASE_DIRECT_URL: url })).rejects.toThrow("DATABASE_DIRECT_URL is set, but DATABASE_URL");
  await expect(settle({ DATABASE_URL: url, DATABASE_DIRECT_URL: "postgres://u:p@127.0.0.1:1/d" })).rejects.toThrow(
    "The Postgres of DATABASE_DIRECT_URL at '127.0.0.1:1' cannot be reached",
  );
  await expect(settle({ DATABASE_URL: url, DATABASE_DIRECT_URL: "nonsense" })).rejects.toThrow(
    /^DATABASE_DIRECT_URL must be a URL/,
  );
});
