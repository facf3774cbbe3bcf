import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { printList } from "../../server/list.ts";
import { CODESPEC_SHAPE, outputArg } from "../../print/list-output.ts";
import { shownCodespec } from "../../print/resources.ts";

export default command({
  meta: { name: "list", description: "List the latest version of each codespec" },
  examples: ["tyger codespec list -o table", "tyger codespec list --prefix recon- --limit 10"],
  args: {
    prefix: { type: "string", alias: "p", description: "Only names that start with this" },
    limit: { type: "int", alias: "l", description: "Maximum number to list (default: 1000)" },
    output: outputArg,
  },
  async run(context) {
    const { args, host } = context;
    const { codespecs } = await connect(context);
    await printList(host, {
      list: (options) => codespecs.list({ prefix: args.prefix, ...options }),
      limit: args.limit,
      shown: shownCodespec,
      format: args.output,
      shape: CODESPEC_SHAPE,
    });
  },
});
