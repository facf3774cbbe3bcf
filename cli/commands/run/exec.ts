import { stdinOf, warnPowerShell } from "../../buffer/buffer-transfer.ts";
import type { Client } from "../../../client/client.ts";
import { connect } from "../../server/connect.ts";
import { ServerError } from "../../../client/errors.ts";
import { command } from "../../line/command.ts";
import { parseBlockSize } from "../../read/data-size.ts";
import { executeRun } from "../../run/run-execution.ts";
import { runArgs, type RunRequest, runRequestOf } from "../../run/run-request.ts";
import { type CodespecFile, readRunFile } from "../../read/spec-file.ts";
import { unmappedBuffers } from "../../run/unmapped-buffers.ts";

export default command({
  meta: {
    name: "exec",
    description: "Create a run, feed it stdin, write its output to stdout, and wait until it ends",
  },
  examples: [
    "echo Paul | tyger run exec -f examples/hello.yml",
    "tyger run exec --codespec recon --logs --timeout 30m < raw.h5 > image.h5",
  ],
  args: {
    ...runArgs,
    logs: { type: "boolean", description: "Show the run's logs on stderr" },
    timestamps: { type: "boolean", description: "Start each line of --logs with its timestamp" },
    "block-size": {
      type: "string",
      default: "4MiB",
      valueHint: "size",
      description: "Size of a full input block",
      parse: parseBlockSize,
    },
    "write-dop": { type: "int", default: 16, description: "Parallel uploads" },
    "read-dop": { type: "int", default: 32, description: "Parallel downloads" },
  },
  async run(context) {
    const { args, host, log } = context;
    for (const dop of ["write-dop", "read-dop"] as const) {
      if (args[dop] < 1) throw new Error(`--${dop} must be at least 1, not '${args[dop]}'`);
    }
    // Without --logs it has no effect.
    if (args.timestamps && !args.logs) throw new Error("--timestamps requires --logs");
    const request = runRequestOf(
      args.file === undefined ? {} : await readRunFile(args.file, () => stdinOf(host)),
      args,
    );
    const client = await connect(context);
    const unmapped = unmappedBuffers(await codespecOf(client, request), request.job.buffers ?? {});
    if (args.file === "-" && unmapped.input !== undefined) {
      throw new Error(
        `stdin cannot be both the run file and the input '${unmapped.input}'; use --buffer for the input`,
      );
    }
    const stdin = unmapped.input === undefined ? undefined : stdinOf(host);
    if (unmapped.input !== undefined || unmapped.output !== undefined) warnPowerShell(host, log);
    const stdoutFault = unmapped.output === undefined ? undefined : host.faultOf("stdout");
    if (stdoutFault !== undefined) throw new Error(`stdout ${stdoutFault}, but the output goes to it`);
    if (args.pull) {
      const { pullImages } = await import("../../run/image-pull.ts");
      await pullImages(client, request, context);
    }
    await executeRun({
      client,
      host,
      log,
      request,
      unmapped,
      stdin,
      options: {
        showLogs: args.logs,
        timestamps: args.timestamps,
        blockSizeBytes: args["block-size"],
        writeDop: args["write-dop"],
        readDop: args["read-dop"],
      },
    });
  },
});

async function codespecOf(client: Client, { job }: RunRequest): Promise<CodespecFile> {
  if (typeof job.codespec === "object") return job.codespec;
  try {
    return await client.codespecs.find(job.codespec);
  } catch (err) {
    // The server's message does not name the codespec.
    if (!(err instanceof ServerError && err.code === "NotFound")) throw err;
    throw new ServerError(
      err.status,
      err.code,
      `The codespec '${job.codespec}' was not found; 'tyger codespec list' shows the existing ones`,
    );
  }
}
