import { join } from "node:path";
import { Context } from "@temporalio/activity";
import { Client, Connection } from "@temporalio/client";
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from "@temporalio/worker";
import { bareEnded } from "./bare-signal.ts";

/** `node bare-worker-main.ts ADDRESS TASK-QUEUE`: a worker of the bare workflows, with the options of ours. */
const [address = "", taskQueue = ""] = process.argv.slice(2);
const logger = new DefaultLogger("ERROR");
Runtime.install({ logger });
const [connection, workflowBundle] = await Promise.all([
  NativeConnection.connect({ address }),
  bundleWorkflowCode({ workflowsPath: join(import.meta.dirname, "bare-workflow.ts"), logger }),
]);
const client = new Client({ connection: await Connection.connect({ address }) });
const worker = await Worker.create({
  connection,
  taskQueue,
  workflowBundle,
  activities: {
    step: async () => {},
    async launch() {
      const { workflowExecution } = Context.current().info;
      // As the watcher does: the launch does not wait for it.
      setImmediate(() => void client.workflow.getHandle(workflowExecution?.workflowId ?? "").signal(bareEnded));
    },
  },
  maxCachedWorkflows: 500,
});
process.once("SIGTERM", () => worker.shutdown());
const running = worker.run();
process.stdout.write("ready\n");
await running;
await client.connection.close();
await connection.close();
