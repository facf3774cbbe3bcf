import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");
const BACKENDS = ["db", "buffers", "docker", "k8s", "logs"];
/** Rooms that wait and retry; only what has no I/O may not. */
const CAN_WAIT = (folder: string): boolean => !/^(?:model|contract|workflows)(?:\/|$)/.test(folder);

/**
 * Folder -> the folders that it may import, each with all that is below it. A file with a row of its own may import more
 * than its folder. `:types` means `import type` only. Every folder of code has a row.
 * @see docs/decisions/0003-rooms.md
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  ".": [],
  "build.ts": ["api/http", "pump", "worker"],
  model: [],
  "model/buffer": ["model"],
  "model/codespec": ["model"],
  "model/log": ["model"],
  "model/ports": ["model"],
  "model/run": ["model"],
  "model/time": ["model"],
  contract: ["model", "contract"],
  "contract/fields": ["model"],
  "contract/lenient": ["model", "contract"],
  waiting: ["model"],
  disk: ["model"],
  runs: ["model", "buffers/format"],
  "runs/repair": ["model", "runs"],
  workflows: ["model", "activities:types"],
  activities: ["model", "runs"],
  temporal: ["model", "workflows"],
  buffers: ["model", "disk", "buffers"],
  "buffers/format": ["model"],
  "buffers/access": ["model", "waiting", "buffers/format"],
  "buffers/filesystem": ["model", "buffers/format", "disk"],
  "buffers/gcs": ["model", "buffers/format"],
  db: ["model", "db"],
  "db/runs": ["model", "db"],
  docker: ["model", "docker"],
  "docker/engine": ["model"],
  "docker/launch": ["model", "disk", "docker"],
  "docker/log": ["model", "docker"],
  "docker/pump": ["model", "docker/engine"],
  k8s: ["model", "k8s"],
  "k8s/spec": ["model"],
  "k8s/client": ["model", "k8s/spec"],
  "k8s/launch": ["model", "k8s/client", "k8s/spec"],
  "k8s/log": ["model", "k8s"],
  "k8s/watch": ["model", "k8s"],
  logs: ["model"],
  config: ["model", "disk"],
  api: ["model", "contract", "api"],
  // Only main files know which backends there are.
  "api/main.ts": ["model", "runs", "config", ...BACKENDS],
  "api/serve.ts": ["model", "runs", "temporal", "api", "config:types"],
  "api/auth": ["model"],
  "api/data-plane": ["model", "contract", "disk", "api/http", "api/services:types"],
  "api/http": ["model", "contract", "api/auth"],
  "api/routes": ["model", "contract", "api"],
  "api/runs": ["model", "contract", "runs"],
  "api/services": ["model", "contract", "runs"],
  worker: ["model", "disk", "runs", "activities", "temporal", "config:types"],
  "worker/main.ts": ["model", "runs", "config", ...BACKENDS],
  pump: ["model", "disk", "client", "buffers/format", "buffers/access", "buffers/filesystem"],
  stack: ["model", "config", "disk", "client", "stack"],
  "stack/store-probe-main.ts": ["model", "buffers/gcs"],
  "stack/docker": ["model", "docker/engine", "stack/host"],
  "stack/host": ["model"],
  "stack/postgres": ["model", "disk", "stack/host", "stack/supervisor:types"],
  "stack/supervisor": ["model", "config", "disk", "stack/host", "stack/docker", "stack/temporal"],
  "stack/temporal": ["model", "stack/host", "stack/supervisor:types"],
  client: ["model", "contract", "disk", "waiting", "buffers/format", "buffers/access", "client"],
  // The module that programs import: without an argument it connects to the server of the user's login file.
  "client/index.ts": ["model", "config", "client"],
  // As users write them: they import the package alone.
  examples: [],
  "client/auth": ["model", "buffers/access", "client"],
  "client/http": ["model", "waiting", "buffers/access", "client"],
  "client/run": ["model", "contract", "waiting", "buffers/format", "buffers/access", "client"],
  cli: ["model", "contract", "config", "client", "cli"],
  "cli/buffer": ["model", "contract", "buffers/format", "buffers/access", "client", "cli"],
  "cli/line": ["model", "config", "cli/read", "cli/terminal"],
  "cli/print": ["model", "contract", "cli/read"],
  "cli/read": ["model", "contract"],
  "cli/run": ["model", "contract", "docker/engine", "buffers/format", "buffers/access", "client", "cli"],
  "cli/server": ["model", "contract", "config", "disk", "client", "cli"],
  "cli/terminal": ["model", "config", "cli/read"],
  "cli/commands/buffer": ["model", "contract", "buffers/format", "buffers/access", "client", "cli"],
  "cli/commands/codespec": ["model", "contract", "client", "cli"],
  "cli/commands/completion": ["model", "contract", "client", "cli"],
  "cli/commands/login": ["model", "contract", "config", "client", "cli"],
  "cli/commands/run": ["model", "contract", "buffers/format", "buffers/access", "client", "cli"],
  // The only commands that do not speak HTTP: up, down, status.
  "cli/commands/stack": ["model", "contract", "config", "client", "cli", "stack"],
};
/** Packages that belong to one room. */
const OWNED: Readonly<Record<string, readonly string[]>> = {
  "drizzle-orm": ["db"],
  // A given Postgres is tried out by the driver that will use it.
  postgres: ["db", "stack/postgres"],
  dockerode: ["docker"],
  "@kubernetes/client-node": ["k8s"],
  "@google-cloud/storage": ["buffers/gcs"],
  // Workflows carry what they import, and requests are read before they get further.
  zod: ["contract", "api", "config", "stack"],
  "@temporalio/client": ["temporal", "examples"],
  "@temporalio/worker": ["worker"],
  "@temporalio/activity": ["activities"],
  "@temporalio/workflow": ["workflows"],
  citty: ["cli"],
  fastify: ["api"],
  jose: ["api"],
};
/** Folders of test/ that mirror no folder of the tree. */
const OF_TESTS = ["bench", "contract", "e2e", "e2e/healing", "fakes", "histories", "k8s/e2e", "ports"];

const tracked = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: ROOT, encoding: "utf8" })
  .split("\n")
  .filter((name) => name.endsWith(".ts"));
const files = tracked.filter((name) => !name.startsWith("test/"));
const isBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

interface Import {
  from: string;
  target: string;
  typeOnly: boolean;
}

function importsIn(from: string, text: string): Import[] {
  const statement = /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']/g;
  const dynamic = /\bimport\(\s*["']([^"']+)["']\s*\)/g;
  return [
    ...[...text.matchAll(statement)].map(([, type, target = ""]) => ({ from, target, typeOnly: type !== undefined })),
    ...[...text.matchAll(dynamic)].map(([, target = ""]) => ({ from, target, typeOnly: false })),
  ];
}

/** Why the table forbids an import; undefined when it does not. */
function violationOf({ from, target, typeOnly }: Import): string | undefined {
  const folder = dirname(from);
  if (!target.startsWith(".")) {
    const owner = Object.keys(OWNED).find((name) => isBelow(target, name));
    const isOwn = owner === undefined || OWNED[owner]?.some((room) => isBelow(from, room));
    return isOwn ? undefined : `${from} imports ${target}`;
  }
  const to = relative(ROOT, resolve(ROOT, folder, target));
  if (to === "package.json" || dirname(to) === folder) return undefined;
  const waiting = CAN_WAIT(folder) ? ["waiting"] : [];
  const allowed = [...(MAY_IMPORT[from] ?? MAY_IMPORT[folder] ?? []), ...waiting].filter(
    (entry) => typeOnly || !entry.endsWith(":types"),
  );
  const isAllowed = allowed.some((entry) => isBelow(to, entry.replace(":types", "")));
  return isAllowed ? undefined : `${from} imports ${to}`;
}

test("every folder of code has a row, and every row has its folder or file", () => {
  const folders = [...new Set(files.map((file) => dirname(file)))];
  expect(folders.filter((folder) => !Object.hasOwn(MAY_IMPORT, folder))).toEqual([]);
  expect(Object.keys(MAY_IMPORT).filter((key) => !folders.includes(key) && !files.includes(key))).toEqual([]);
});

test("every folder of tests mirrors a folder of the tree or is about tests alone", () => {
  const folders = [
    ...new Set(tracked.filter((name) => name.startsWith("test/")).map((name) => dirname(name).slice(5))),
  ];
  const rooms = [...new Set(files.map((file) => dirname(file).split("/")[0]))];
  const isKnown = (folder: string): boolean =>
    folder === "" || [...Object.keys(MAY_IMPORT), ...OF_TESTS, ...rooms].includes(folder) || folder === "cli/commands";
  expect(folders.filter((folder) => !isKnown(folder))).toEqual([]);
});

test("each folder imports only what the table allows", () => {
  const imports = files.flatMap((file) => importsIn(file, readFileSync(join(ROOT, file), "utf8")));
  expect(imports.map(violationOf).filter((violation) => violation !== undefined)).toEqual([]);
});

describe("an import that the table forbids is found", () => {
  test.each([
    ["a room that is not in the row", 'import { a } from "../db/client.ts";', "model/errors.ts imports db/client.ts"],
    ["one that is loaded later", 'await import("../db/client.ts")', "model/errors.ts imports db/client.ts"],
    ["one that is handed on", 'export * from "../db/client.ts";', "model/errors.ts imports db/client.ts"],
    ["a wait in the domain", 'import { a } from "../waiting/retry.ts";', "model/errors.ts imports waiting/retry.ts"],
    ["a package of another room", 'import postgres from "postgres";', "model/errors.ts imports postgres"],
  ])("%s", (_name, text, violation) => {
    expect(importsIn("model/errors.ts", text).map(violationOf)).toEqual([violation]);
  });

  test("a value where only types are allowed", () => {
    const [value] = importsIn("workflows/run.ts", 'import { a } from "../activities/run.ts";').map(violationOf);
    const [type] = importsIn("workflows/run.ts", 'import type { A } from "../activities/run.ts";').map(violationOf);
    expect([value, type]).toEqual(["workflows/run.ts imports activities/run.ts", undefined]);
  });
});

test("only config reads process.env", () => {
  const readers = files
    .filter((file) => !file.startsWith("config/") && !/(^|\/)[a-z-]*main\.ts$/.test(file))
    .filter((file) => /process\.env\b/.test(readFileSync(join(ROOT, file), "utf8")));
  expect(readers).toEqual([]);
});

test("signals and queries are sent by their definitions, never by a text", () => {
  const byText = tracked
    .filter((file) => file !== "test/rooms.test.ts")
    .filter((file) => /\.(?:signal|query|signalWithStart)\(\s*["'`]/.test(readFileSync(join(ROOT, file), "utf8")));
  expect(byText).toEqual([]);
});
