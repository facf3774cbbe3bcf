import { z } from "zod";
import type { Environment } from "./paths.ts";

/** What API and worker share. The supervisor sets these; a deployment sets them itself. */
const serverSchema = z.object({
  /** postgres:// URL. */
  DATABASE_URL: z.url(),
  TEMPORAL_ADDRESS: z.string().min(1),
  TEMPORAL_NAMESPACE: z.string().default("default"),
  /** Temporal Cloud; with it the connection uses TLS. */
  TEMPORAL_API_KEY: z.string().optional(),
  /** Holds buffers/, logs/, runs/ and keys/. */
  TYGER_DATA_DIR: z.string().min(1),
  /** Empty: the engine's socket of this machine, /var/run/docker.sock. */
  DOCKER_HOST: z.string().optional(),
  TYGER_LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error"]).default("info"),
});

const apiSchema = serverSchema.extend({
  TYGER_API_SOCKET: z.string().min(1),
  TYGER_DATA_SOCKET: z.string().min(1),
  /** `host:port` on which both planes answer over TCP too; nothing listens beyond the sockets without it. */
  TYGER_LISTEN: z.string().optional(),
  /** More open runs than this are refused with a 503 before anything is stored. */
  TYGER_MAX_OPEN_RUNS: z.coerce.number().int().positive().default(100_000),
});

const workerSchema = serverSchema.extend({
  /** Runs of the cluster that may be live at once; what two cores and one engine carry. */
  TYGER_MAX_LIVE_RUNS: z.coerce.number().int().positive().default(32),
  /** Path of the prebuilt workflow bundle. */
  TYGER_WORKFLOW_BUNDLE: z.string().min(1),
  /** Path of the pump's main file. */
  TYGER_PUMP_MAIN: z.string().min(1),
});

export type ApiConfig = z.infer<typeof apiSchema>;
export type WorkerConfig = z.infer<typeof workerSchema>;

/** @throws Error naming each variable that is wrong, with the reason. */
export const readApiConfig = (env: Environment): ApiConfig => read(apiSchema, env);
/** @throws Error naming each variable that is wrong, with the reason. */
export const readWorkerConfig = (env: Environment): WorkerConfig => read(workerSchema, env);

function read<S extends z.ZodType>(schema: S, env: Environment): z.infer<S> {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new Error(`The configuration is not complete: ${problems.join("; ")}`);
}
