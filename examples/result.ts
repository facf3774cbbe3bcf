// node examples/result.ts 127.0.0.1:7233 abcdefghij
// `tyger status` shows both: the address of Temporal, and the installation.
import { argv, stdout } from "node:process";
import { Client, Connection } from "@temporalio/client";
import { runEndOf, workflowIdOf } from "tyger";
import { connect } from "tyger/client";

const [address = "", installation = ""] = argv.slice(2);
const { runs } = await connect();
const { id } = await runs.create({
  job: { codespec: { kind: "job", image: "ubuntu", command: ["bash", "-c", "exit 3"] } },
});

const connection = await Connection.connect({ address });
const workflow = new Client({ connection }).workflow.getHandle(workflowIdOf(installation, id));
try {
  await workflow.result();
  stdout.write(`run ${id} succeeded\n`);
} catch (err) {
  const end = runEndOf(err);
  if (end === undefined) throw err;
  const why = end.status === "Failed" ? `: ${end.cause}: ${end.statusReason}` : "";
  stdout.write(`run ${id} is ${end.status}${why}\n`);
}
await connection.close();
