import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { asJson, shownBuffer } from "../../print/resources.ts";

export default command({
  meta: { name: "show", description: "Show a buffer as JSON" },
  examples: ["tyger buffer show $id"],
  args: {
    id: { type: "positional", required: true, description: "Buffer id" },
    "soft-deleted": { type: "boolean", description: "Show a soft-deleted buffer" },
  },
  async run(context) {
    const { args, host } = context;
    const { buffers } = await connect(context);
    const buffer = await buffers.show(args.id, { softDeleted: args["soft-deleted"] });
    await writeAll(host.stdout, asJson(shownBuffer(buffer)));
  },
});
