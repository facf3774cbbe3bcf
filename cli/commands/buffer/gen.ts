import { command } from "../../line/command.ts";
import { parseDataSize } from "../../read/data-size.ts";
import { openOutputFile } from "../../terminal/file-streams.ts";
import { writeAll } from "../../terminal/host.ts";

/** The 64 bytes 0x3A to 0x79, as the contract says. */
const PATTERN = Buffer.from(Array.from({ length: 64 }, (_, i) => 0x3a + i));
const CHUNK_BYTES = 256 * 1024;

export default command({
  meta: { name: "gen", description: "Generate test data" },
  examples: ["tyger buffer gen 1G | tyger buffer write $id"],
  args: {
    size: { type: "positional", required: true, description: "Size: 4096, 1.5K, 2GiB" },
    output: {
      type: "string",
      alias: "o",
      valueHint: "path",
      isOnce: true,
      description: "Write to this file instead of stdout",
    },
  },
  async run({ args, host }) {
    const sizeBytes = sizeOf(args.size);
    const sink = args.output === undefined ? host.stdout : await openOutputFile(args.output);
    const chunk = Buffer.alloc(CHUNK_BYTES, PATTERN);
    for (let left = sizeBytes; left > 0; left -= CHUNK_BYTES) {
      await writeAll(sink, left < CHUNK_BYTES ? chunk.subarray(0, left) : chunk);
    }
  },
});

function sizeOf(text: string): number {
  try {
    return parseDataSize(text);
  } catch (err) {
    throw new Error(`invalid size '${text}': ${(err as Error).message}`, { cause: err });
  }
}
