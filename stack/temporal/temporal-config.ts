import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";

const setting = z.union([z.string(), z.number(), z.boolean()]);
const port = z.number().int().min(0).max(65535);

/** Strict, so that a misspelled setting in temporal-dev.yaml is reported. */
export const temporalConfigSchema = z.strictObject({
  ip: z.string().min(1),
  /** Of the gRPC frontend; 0 picks a free port. */
  port,
  /** Of the Web UI; 0 picks a free port. */
  uiPort: port,
  namespace: z.string().min(1),
  /** A Go duration, because the dev server is written in Go. */
  retention: z.string().regex(/^[0-9]+[hms]$/, "must be a number with h, m, or s, such as 72h"),
  searchAttributes: z.record(z.string(), z.string()),
  sqlitePragmas: z.record(z.string(), setting),
  dynamicConfig: z.record(z.string(), setting),
  logLevel: z.enum(["debug", "info", "warn", "error", "never"]),
});

export type TemporalConfig = z.infer<typeof temporalConfigSchema>;

/** @throws Error that names the file and each invalid setting */
export function readTemporalConfig(file: string): TemporalConfig {
  return parseTemporalConfig(readFileSync(file, "utf8"), file);
}

/** @throws Error that names `file` and each invalid setting */
export function parseTemporalConfig(text: string, file: string): TemporalConfig {
  const result = temporalConfigSchema.safeParse(parse(text));
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join(".") || "the file"}: ${issue.message}`);
  throw new Error(`'${file}' is invalid: ${problems.join("; ")}`);
}

/** The dev server takes its settings only as arguments. The ports are given: those of `config` can be 0. */
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
