import { RUN_STATUSES } from "../../../model/run/run.ts";
import { parseSinceTime } from "../../read/since-time.ts";
import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { printList } from "../../server/list.ts";
import { outputArg, RUN_SHAPE } from "../../print/list-output.ts";
import { shownRun } from "../../print/resources.ts";

export default command({
  meta: { name: "list", description: "List runs, newest first" },
  examples: [
    "tyger run list -o table",
    "tyger run list --status failed --since yesterday",
    "tyger run list --tag scan=42 -o name",
  ],
  args: {
    since: { type: "string", alias: "s", valueHint: "time", description: "Only runs created after this time" },
    tag: { type: "map", description: "Only runs with all of these tags" },
    status: { type: "list", choices: RUN_STATUSES, description: "Only runs with one of these statuses" },
    limit: { type: "int", alias: "l", description: "Maximum number to list (default: 1000)" },
    output: outputArg,
  },
  surplus: "ignore",
  async run(context) {
    const { args, host } = context;
    const since = args.since === undefined ? undefined : parseSinceTime(args.since, new Date());
    const { runs } = await connect(context);
    await printList(host, {
      list: (options) => runs.list({ since, status: args.status, tags: args.tag, ...options }),
      limit: args.limit,
      shown: shownRun,
      format: args.output,
      shape: RUN_SHAPE,
    });
  },
});
