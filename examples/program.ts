// echo Paul | node examples/program.ts
import { stdin, stdout } from "node:process";
import { Writable } from "node:stream";
import { connect, type JobCodespec } from "tyger/client";

const { runs } = await connect();
const codespec: JobCodespec = {
  kind: "job",
  image: "ubuntu",
  buffers: { inputs: ["input"], outputs: ["output"] },
  command: ["bash", "-c", 'echo "Hello $(cat "$INPUT_PIPE")" > "$OUTPUT_PIPE"'],
};
const { run, output, ended } = await runs.exec({ job: { codespec }, timeoutSeconds: 600 }, { input: stdin });
const copying = output.pipeTo(Writable.toWeb(stdout), { preventClose: true });
const [{ status, statusReason }] = await Promise.all([ended, copying]);
if (status !== "Succeeded") throw new Error(`run ${run.id} is ${status}: ${statusReason}`);
