import { parseGoDuration } from "../../read/go-duration.ts";
import { writeBuffer } from "../../../buffers/format/writer.ts";
import { stdinOf, transferBuffer } from "../../buffer/buffer-transfer.ts";
import { command } from "../../line/command.ts";
import { parseBlockSize } from "../../read/data-size.ts";
import { openInput } from "../../terminal/file-streams.ts";
import { parseTtl } from "../../read/ttl.ts";

export default command({
  meta: { name: "write", description: "Write stdin to a buffer" },
  examples: ["tyger buffer write $id < data.h5", "tyger buffer write $id -i data.h5"],
  args: {
    target: {
      type: "positional",
      required: true,
      description: "Buffer id, access URL, or file that contains an access URL",
    },
    input: {
      type: "string",
      alias: "i",
      valueHint: "path",
      isOnce: true,
      description: "File or named pipe instead of stdin",
    },
    dop: { type: "int", alias: "p", default: 16, description: "Parallel uploads" },
    "block-size": {
      type: "string",
      alias: "b",
      default: "4MiB",
      valueHint: "size",
      description: "Size of a full block",
      parse: parseBlockSize,
    },
    "flush-interval": {
      type: "string",
      alias: "f",
      default: "1s",
      valueHint: "duration",
      description: "Send a partial block after this long; 0 waits for full blocks",
      parse: flushIntervalMs,
    },
    "access-ttl": { type: "string", hidden: true, description: "How long access URLs are valid", parse: parseTtl },
  },
  async run(context) {
    const { args, host } = context;
    // A stdin that cannot be read is refused before it spends the buffer.
    const stdin = args.input === undefined ? stdinOf(host) : undefined;
    await transferBuffer(context, {
      operation: "buffer write",
      argument: args.target,
      dop: args.dop,
      ttlSeconds: args["access-ttl"],
      run: async (access, hooks) => {
        const { stream, isRegular } = stdin ? { stream: stdin, isRegular: false } : await openInput(args.input ?? "");
        await writeBuffer(stream, access, {
          ...hooks,
          blockSizeBytes: args["block-size"],
          flushIntervalMs: isRegular ? 0 : args["flush-interval"],
        });
      },
    });
  },
});

function flushIntervalMs(text: string): number {
  const ms = Number(parseGoDuration(text)) / 1e6;
  if (ms < 0) throw new Error("it must not be negative");
  // A timer of the runtime that is set longer than this goes off at once.
  return Math.min(ms, 2 ** 31 - 1);
}
