import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { inject } from "vitest";

/** Engines that test/setup-engines.ts started for this test run. */
declare module "vitest" {
  interface ProvidedContext {
    /** postgres:// URL of a server on which databases may be made. */
    postgresUrl: string;
    /** host:port of a dev server started from temporal-dev.yaml. */
    temporalAddress: string;
    /** An image with bash and coreutils' usual tools, present on the engine. */
    testImage: string;
  }
}

/** A database of its own, dropped by `drop()`. */
export async function freshDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const admin = postgres(inject("postgresUrl"), { max: 1, onnotice: () => {} });
  const name = `test_${randomBytes(6).toString("hex")}`;
  await admin.unsafe(`create database ${name}`);
  const url = new URL(inject("postgresUrl"));
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: async () => {
      await admin.unsafe(`drop database if exists ${name} with (force)`);
      await admin.end({ timeout: 5 });
    },
  };
}
