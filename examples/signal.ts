// node examples/signal.ts 127.0.0.1:7233 abcdefghij
// `tyger status` shows both: the address of Temporal, and the installation.
import { argv, stdout } from "node:process";
import { Client, Connection } from "@temporalio/client";
import { cancelRun, currentRun, workflowIdOf } from "tyger";
import { connect } from "tyger/client";

const [address = "", installation = ""] = argv.slice(2);
const { runs } = await connect();
const { id } = await runs.create({
  job: { codespec: { kind: "job", image: "ubuntu", command: ["sleep", "600"] } },
});
for await (const { status } of runs.watch(id)) if (status !== "Pending") break;

const connection = await Connection.connect({ address });
const workflow = new Client({ connection }).workflow.getHandle(workflowIdOf(installation, id));
const { phase } = await workflow.query(currentRun);
stdout.write(`run ${id}: ${phase}\n`);
await workflow.signal(cancelRun);
await connection.close();
for await (const { status } of runs.watch(id)) stdout.write(`run ${id}: ${status}\n`);
