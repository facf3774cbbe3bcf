import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { asJson, shownRun } from "../../print/resources.ts";

export default command({
  meta: { name: "set", description: "Change the tags of a run" },
  examples: ["tyger run set 7 --tag scan=42", "tyger run set 7 --clear-tags --tag scan=43"],
  args: {
    id: { type: "positional", required: true, suggest: "run", description: "Run id" },
    tag: { type: "map", description: "Tag to add or change" },
    "clear-tags": { type: "boolean", description: "Remove all other tags" },
    etag: { type: "string", description: "Fail if the run has changed since it had this eTag" },
  },
  async run(context) {
    const { args, host } = context;
    const { runs } = await connect(context);
    const run = await runs.set(args.id, { tags: args.tag, clearTags: args["clear-tags"], eTag: args.etag });
    await writeAll(host.stdout, asJson(shownRun(run)));
  },
});
