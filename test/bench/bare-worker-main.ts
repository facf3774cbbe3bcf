import { join } from "node:path";
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from "@temporalio/worker";

/** `node bare-worker-main.ts ADDRESS TASK-QUEUE`: a worker of the bare workflow, with the options of ours. */
const [address = "", taskQueue = ""] = process.argv.slice(2);
const logger = new DefaultLogger("ERROR");
Runtime.install({ logger });
const [connection, workflowBundle] = await Promise.all([
  NativeConnection.connect({ address }),
  bundleWorkflowCode({ workflowsPath: join(import.meta.dirname, "bare-workflow.ts"), logger }),
]);
const worker = await Worker.create({
  connection,
  taskQueue,
  workflowBundle,
  activities: { step: async () => {} },
  maxCachedWorkflows: 500,
});
process.once("SIGTERM", () => worker.shutdown());
const running = worker.run();
process.stdout.write("ready\n");
await running;
await connection.close();
