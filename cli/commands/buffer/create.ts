import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { asJson, shownBuffer } from "../../print/resources.ts";
import { expiryOf, parseTtl } from "../../read/ttl.ts";

const expiry = (text: string): string => expiryOf(parseTtl(text), Date.now());

export default command({
  meta: { name: "create", description: "Create a buffer and print its id" },
  examples: ["tyger buffer create", "tyger buffer create --tag scan=42 --ttl 7"],
  args: {
    location: { type: "string", description: "Storage location" },
    tag: { type: "map", description: "Tags" },
    ttl: { type: "string", valueHint: "D.HH:MM:SS", description: "Delete the buffer after this time", parse: expiry },
    "full-resource": { type: "boolean", description: "Print the whole buffer as JSON" },
  },
  surplus: "ignore",
  async run(context) {
    const { args, host } = context;
    const { buffers } = await connect(context);
    const buffer = await buffers.create({
      ...(args.location !== undefined && { location: args.location }),
      ...(args.tag && { tags: args.tag }),
      ...(args.ttl !== undefined && { expiresAt: args.ttl }),
    });
    await writeAll(host.stdout, args["full-resource"] ? asJson(shownBuffer(buffer)) : `${buffer.id}\n`);
  },
});
