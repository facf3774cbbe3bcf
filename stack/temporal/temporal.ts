import { join } from "node:path";
import { mustRun } from "../host/command.ts";
import type { ProcessSpec } from "../supervisor/process-spec.ts";
import { temporalArguments, type TemporalConfig } from "./temporal-config.ts";
import { isTemporalServing } from "./temporal-health.ts";

/** Settings of a Temporal dev server whose binary is installed and whose ports are free. */
export interface TemporalServer {
  binary: string;
  config: TemporalConfig;
  port: number;
  uiPort: number;
  /** Contains temporal.db. */
  folder: string;
}

export const temporalAddressOf = ({ config, port }: TemporalServer): string => `${config.ip}:${port}`;

export const webUiOf = ({ config, uiPort }: TemporalServer): string => `http://${config.ip}:${uiPort}`;

/** Runs the dev server on a database file, so that workflows survive a restart. */
export function temporalSpec(server: TemporalServer, logFile: string, env: Record<string, string>): ProcessSpec {
  const { binary, config, folder } = server;
  const address = temporalAddressOf(server);
  const retain = ["operator", "namespace", "update", "--namespace", config.namespace, "--retention", config.retention];
  return {
    name: "temporal",
    command: binary,
    args: temporalArguments(config, { ...server, databaseFile: join(folder, "temporal.db") }),
    env,
    cwd: folder,
    logFile,
    stopSignal: "SIGTERM",
    graceMs: 8000,
    isReady: () => isTemporalServing(address),
    // The dev server has no flag for the retention.
    whenReady: async () => {
      await mustRun(binary, [...retain, "--address", address], { env, timeoutMs: 20_000 });
    },
  };
}
