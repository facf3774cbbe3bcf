import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { asJson, shownRun } from "../../print/resources.ts";

export default command({
  meta: { name: "show", description: "Show a run as JSON" },
  examples: ["tyger run show 7"],
  args: { id: { type: "positional", required: true, suggest: "run", description: "Run id" } },
  async run(context) {
    const { args, host } = context;
    const { runs } = await connect(context);
    await writeAll(host.stdout, asJson(shownRun(await runs.show(args.id))));
  },
});
