import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { asJson, shownCodespec } from "../../print/resources.ts";

export default command({
  meta: { name: "show", description: "Show a codespec as JSON" },
  examples: ["tyger codespec show hello", "tyger codespec show hello --version 1"],
  args: {
    name: { type: "positional", required: true, suggest: "codespec", description: "Name of the codespec" },
    version: { type: "string", description: "Version (default: latest)" },
  },
  async run(context) {
    const { args, host } = context;
    const { codespecs } = await connect(context);
    await writeAll(host.stdout, asJson(shownCodespec(await codespecs.show(args.name, { version: args.version }))));
  },
});
