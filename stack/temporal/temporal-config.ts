import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";

const setting = z.union([z.string(), z.number(), z.boolean()]);
const port = z.number().int().min(0).max(65535);

/** What temporal-dev.yaml may hold. */
export const temporalConfigSchema = z.strictObject({
  ip: z.string().min(1),
  /** Of the gRPC frontend; 0 is any free one. */
  port,
  /** Of the Web UI; 0 is any free one. */
  uiPort: port,
  namespace: z.string().min(1),
  /** A Go duration, as the dev server reads it. */
  retention: z.string().regex(/^[0-9]+[hms]$/, "is a number with h, m or s, like 72h"),
  searchAttributes: z.record(z.string(), z.string()),
  sqlitePragmas: z.record(z.string(), setting),
  dynamicConfig: z.record(z.string(), setting),
  logLevel: z.enum(["debug", "info", "warn", "error", "never"]),
});

export type TemporalConfig = z.infer<typeof temporalConfigSchema>;

/** @throws Error that names the file and each setting that is wrong. */
export function readTemporalConfig(file: string): TemporalConfig {
  return parseTemporalConfig(readFileSync(file, "utf8"), file);
}

/** @throws Error that names `file` and each setting that is wrong. */
export function parseTemporalConfig(text: string, file: string): TemporalConfig {
  const result = temporalConfigSchema.safeParse(parse(text));
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join(".") || "the file"}: ${issue.message}`);
  throw new Error(`'${file}' is not right: ${problems.join("; ")}`);
}

/** The arguments of `temporal` that start the dev server of `config` on ports that are free. */
export function temporalArguments(
  config: TemporalConfig,
  at: { port: number; uiPort: number; databaseFile: string },
): string[] {
  const pairs = (flag: string, values: Record<string, unknown>) =>
    Object.entries(values).flatMap(([key, value]) => [flag, `${key}=${String(value)}`]);
  const dynamic = Object.entries(config.dynamicConfig).map(([key, value]) => [key, JSON.stringify(value)]);
  const flags = {
    ip: config.ip,
    port: at.port,
    "ui-port": at.uiPort,
    namespace: config.namespace,
    "db-filename": at.databaseFile,
    "log-level": config.logLevel,
  };
  return [
    "server",
    "start-dev",
    ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]),
    ...pairs("--search-attribute", config.searchAttributes),
    ...pairs("--sqlite-pragma", config.sqlitePragmas),
    ...pairs("--dynamic-config-value", Object.fromEntries(dynamic)),
  ];
}
