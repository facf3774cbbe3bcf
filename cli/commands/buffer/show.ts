import { connect } from "../../server/client.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { asJson, shownBuffer } from "../../print/resources.ts";

export default command({
  meta: { name: "show", description: "Show a buffer as JSON" },
  examples: ["tyger buffer show $id"],
  args: {
    id: { type: "positional", required: true, description: "Buffer id" },
    "soft-deleted": { type: "boolean", description: "Show one that is soft-deleted" },
  },
  async run(context) {
    const { args, host } = context;
    const client = await connect(context);
    const { value } = await client.json({
      method: "GET",
      path: `/buffers/${encodeURIComponent(args.id)}`,
      query: { softDeleted: args["soft-deleted"] || undefined },
    });
    await writeAll(host.stdout, asJson(shownBuffer(value)));
  },
});
