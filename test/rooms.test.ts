import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");
const BACKENDS = ["db", "buffers", "k8s", "docker", "logs"];

/** Room, or file or folder where it differs -> rooms it may import; `:types` means `import type` only. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  model: [],
  workflows: ["model", "activities:types"],
  activities: ["model"],
  transfer: ["model"],
  ...Object.fromEntries(BACKENDS.map((room) => [room, ["model"]])),
  config: ["model"],
  api: ["model", "workflows"],
  "api/main.ts": ["model", "workflows", "api", "config", ...BACKENDS],
  worker: ["model", "workflows", "activities", "config", ...BACKENDS],
  pump: ["model", "transfer", "buffers"],
  stack: ["model", "config"],
  // A given Postgres is tried out by the driver that will use it.
  "stack/engines.ts": ["model", "config", "stack", "db"],
  cli: ["model", "transfer", "config"],
  // The only commands that do not speak HTTP: up, down, status, quickstart.
  "cli/commands/stack": ["model", "cli", "config", "stack"],
};
/** Packages that belong to one room. */
const OWNED: Record<string, readonly string[]> = {
  "drizzle-orm": ["db"],
  postgres: ["db"],
  dockerode: ["docker"],
  "@kubernetes/client-node": ["k8s"],
  "@google-cloud/storage": ["buffers"],
  citty: ["cli"],
  fastify: ["api"],
};
const ROOMS = [...new Set(Object.keys(MAY_IMPORT).map((key) => key.split("/")[0] ?? key))];

function filesOf(room: string): string[] {
  try {
    return readdirSync(join(ROOT, room), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(room, name));
  } catch {
    return [];
  }
}

interface Import {
  from: string;
  target: string;
  typeOnly: boolean;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  const found: Import[] = [];
  const statement = /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']/g;
  for (const [, type, target] of text.matchAll(statement))
    found.push({ from: file, target: target ?? "", typeOnly: !!type });
  for (const [, target] of text.matchAll(/\bimport\(\s*["']([^"']+)["']\s*\)/g)) {
    found.push({ from: file, target: target ?? "", typeOnly: false });
  }
  return found;
}

function ruleOf(file: string): { key: string; allowed: readonly string[] } {
  const keys = Object.keys(MAY_IMPORT).filter((key) => file === key || file.startsWith(`${key}/`));
  const key = keys.sort((a, b) => b.length - a.length)[0] ?? "";
  return { key, allowed: MAY_IMPORT[key] ?? [] };
}

const violations: string[] = [];
const files = ROOMS.flatMap(filesOf);
for (const { from, target, typeOnly } of files.flatMap(importsOf)) {
  if (target.startsWith(".")) {
    const to = relative(ROOT, resolve(ROOT, dirname(from), target));
    const room = to.split("/")[0] ?? "";
    const { key, allowed } = ruleOf(from);
    const own = key.split("/")[0] === room && (key === room || to.startsWith(`${key}/`) || allowed.includes(room));
    if (to === "package.json" || own || allowed.includes(room) || (typeOnly && allowed.includes(`${room}:types`)))
      continue;
    violations.push(`${from} imports ${to}`);
  } else {
    const owner = Object.keys(OWNED).find((name) => target === name || target.startsWith(`${name}/`));
    const room = from.split("/")[0] ?? "";
    if (owner && !OWNED[owner]?.includes(room)) violations.push(`${from} imports ${target}`);
  }
}

test("each room imports only what the table allows", () => {
  expect(files.length).toBeGreaterThan(20);
  expect(violations).toEqual([]);
});

test("only config reads process.env", () => {
  const readers = files
    .filter((file) => !file.startsWith("config/") && !/(^|\/)[a-z-]*main\.ts$/.test(file))
    .filter((file) => /process\.env\b/.test(readFileSync(join(ROOT, file), "utf8")));
  expect(readers).toEqual([]);
});
