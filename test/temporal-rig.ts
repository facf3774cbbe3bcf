import type { Client } from "@temporalio/client";
import {
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type LogEntry,
  type WorkerOptions,
} from "@temporalio/worker";
import { inject } from "vitest";
import { connectClient } from "../temporal/connection.ts";
import { bundleWorkflows } from "../worker/workflow-bundle.ts";

/** The real dev server, and workers of the real workflows on it. */
export interface TemporalRig {
  client: Client;
  /** Warnings and errors of all workers and workflows. */
  warnings: LogEntry[];
  /** A worker of this task queue that is not running yet. */
  createWorker(options: Pick<WorkerOptions, "taskQueue" | "activities"> & Partial<WorkerOptions>): Promise<Worker>;
  close(): Promise<void>;
}

export async function openTemporalRig(): Promise<TemporalRig> {
  const address = inject("temporalAddress");
  const warnings: LogEntry[] = [];
  const remember = (entry: LogEntry): void => {
    warnings.push(entry);
    if (entry.level === "ERROR") process.stderr.write(`temporal: ${entry.message} ${JSON.stringify(entry.meta)}\n`);
  };
  Runtime.install({ logger: new DefaultLogger("WARN", remember) });
  const [client, connection, workflowBundle] = await Promise.all([
    connectClient({ address, namespace: "default" }, 10_000),
    NativeConnection.connect({ address }),
    bundleWorkflows(),
  ]);
  return {
    client,
    warnings,
    createWorker: (options) =>
      Worker.create({ connection, workflowBundle, maxHeartbeatThrottleInterval: "200 ms", ...options }),
    async close() {
      await connection.close();
      await client.connection.close();
    },
  };
}
