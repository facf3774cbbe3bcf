import type { NewRun } from "../../../client/types.ts";
import { stdinOf } from "../../buffer/buffer-transfer.ts";
import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { runArgs, runRequestOf } from "../../run/run-request.ts";
import { readRunFile } from "../../read/spec-file.ts";

export default command({
  meta: { name: "create", description: "Create a run and print its id" },
  examples: [
    "tyger run create --codespec hello --buffer input=$in --buffer output=$out",
    "tyger run create -f run.yml --tag scan=42 --timeout 2h",
  ],
  args: runArgs,
  async run(context) {
    const { args, host } = context;
    const request = runRequestOf(
      args.file === undefined ? {} : await readRunFile(args.file, () => stdinOf(host)),
      args,
    );
    const client = await connect(context);
    if (args.pull) {
      const { pullImages } = await import("../../run/image-pull.ts");
      await pullImages(client, request, context);
    }
    const run = await client.runs.create(request as NewRun);
    await writeAll(host.stdout, `${run.id}\n`);
  },
});
