import { join } from "node:path";
import { mustRun } from "../host/command.ts";
import type { ProcessSpec } from "../supervisor/process-spec.ts";
import { temporalArguments, type TemporalConfig } from "./temporal-config.ts";
import { isTemporalServing } from "./temporal-health.ts";

/** A Temporal dev server that is ready to be started. */
export interface TemporalServer {
  binary: string;
  config: TemporalConfig;
  port: number;
  uiPort: number;
  /** Holds temporal.db. */
  folder: string;
}

export const temporalAddressOf = ({ config, port }: TemporalServer): string => `${config.ip}:${port}`;

export const webUiOf = ({ config, uiPort }: TemporalServer): string => `http://${config.ip}:${uiPort}`;

/** How the dev server is run, on its own database file. */
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
    // The dev server has no flag for it.
    whenReady: async () => {
      await mustRun(binary, [...retain, "--address", address], { env, timeoutMs: 20_000 });
    },
  };
}
