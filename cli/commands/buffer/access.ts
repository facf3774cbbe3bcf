import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { formatTtl, parseTtl } from "../../read/ttl.ts";

export default command({
  meta: { name: "access", description: "Print a signed URL for a buffer" },
  examples: ["tyger buffer access $id", "tyger buffer access $id --write > url.txt"],
  args: {
    id: { type: "positional", required: true, description: "Buffer id" },
    write: { type: "boolean", alias: "w", description: "Also allow writing" },
    "access-ttl": { type: "string", hidden: true, description: "How long the URL is valid", parse: parseTtl },
  },
  async run(context) {
    const { args, host } = context;
    const ttl = args["access-ttl"];
    const { buffers } = await connect(context);
    const uri = await buffers.access(args.id, {
      writeable: args.write,
      ttl: ttl === undefined ? undefined : formatTtl(ttl),
    });
    await writeAll(host.stdout, `${uri}\n`);
  },
});
