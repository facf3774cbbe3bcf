import { connect } from "../../client.ts";
import { command } from "../../command.ts";
import { writeAll } from "../../host.ts";
import { asJson, shownRun } from "../../resources.ts";

export default command({
  meta: { name: "show", description: "Show a run as JSON" },
  examples: ["tyger run show 7"],
  args: { id: { type: "positional", required: true, suggest: "run", description: "Run id" } },
  async run(context) {
    const { args, host } = context;
    const client = await connect(context);
    const { value } = await client.json({ method: "GET", path: `/runs/${encodeURIComponent(args.id)}` });
    await writeAll(host.stdout, asJson(shownRun(value)));
  },
});
