import { readInto, transferBuffer } from "../../buffer/buffer-transfer.ts";
import { command } from "../../line/command.ts";
import { openOutputFile } from "../../terminal/file-streams.ts";
import { parseTtl } from "../../read/ttl.ts";

export default command({
  meta: { name: "read", description: "Write a buffer's bytes to stdout" },
  examples: ["tyger buffer read $id > result.h5", "tyger buffer read url.txt -o result.h5"],
  args: {
    source: {
      type: "positional",
      required: true,
      description: "Buffer id, access URL, or file that contains an access URL",
    },
    output: {
      type: "string",
      alias: "o",
      valueHint: "path",
      isOnce: true,
      description: "File or named pipe instead of stdout",
    },
    dop: { type: "int", alias: "p", default: 32, description: "Parallel downloads" },
    "access-ttl": { type: "string", hidden: true, description: "How long access URLs are valid", parse: parseTtl },
  },
  async run(context) {
    const { args, host } = context;
    await transferBuffer(context, {
      operation: "buffer read",
      argument: args.source,
      dop: args.dop,
      ttlSeconds: args["access-ttl"],
      run: async (access, hooks) => {
        const sink = args.output === undefined ? host.stdout : await openOutputFile(args.output, hooks.signal);
        await readInto(sink, access, hooks);
      },
    });
  },
});
