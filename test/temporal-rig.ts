import { resolve } from "node:path";
import type { Client } from "@temporalio/client";
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type WorkerOptions,
  type WorkflowBundle,
} from "@temporalio/worker";
import { inject } from "vitest";
import { connectClient } from "../temporal/connection.ts";

/** The real dev server, and workers of the real workflows on it. */
export interface TemporalRig {
  client: Client;
  /** A worker of this task queue that is not running yet. */
  createWorker(options: Pick<WorkerOptions, "taskQueue" | "activities"> & Partial<WorkerOptions>): Promise<Worker>;
  close(): Promise<void>;
}

export async function openTemporalRig(): Promise<TemporalRig> {
  const address = inject("temporalAddress");
  Runtime.install({ logger: new DefaultLogger("ERROR") });
  const [client, connection, workflowBundle] = await Promise.all([
    connectClient({ address, namespace: "default" }, 10_000),
    NativeConnection.connect({ address }),
    bundled(),
  ]);
  return {
    client,
    createWorker: (options) =>
      Worker.create({ connection, workflowBundle, maxHeartbeatThrottleInterval: "200 ms", ...options }),
    async close() {
      await connection.close();
      await client.connection.close();
    },
  };
}

const bundled = (): Promise<WorkflowBundle> =>
  bundleWorkflowCode({
    workflowsPath: resolve(import.meta.dirname, "../workflows/index.ts"),
    logger: new DefaultLogger("ERROR"),
  });
