import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestStack } from "../e2e/stack.ts";

export interface Engines {
  /** postgres:// URL up to the name of the database. */
  postgres: string;
  /** host:port */
  temporal: string;
}

/** Where the embedded engines of a stack are. */
export async function enginesOf({ dataDir }: TestStack): Promise<Engines> {
  const ports = JSON.parse(await readFile(join(dataDir, "state/ports.json"), "utf8")) as Record<string, number>;
  const password = (await readFile(join(dataDir, "postgres/password"), "utf8")).trim();
  return {
    postgres: `postgres://postgres:${password}@127.0.0.1:${ports["postgres"]}/`,
    temporal: `127.0.0.1:${ports["temporal"]}`,
  };
}
