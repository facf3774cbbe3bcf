import { parseSinceTime } from "../../read/since-time.ts";
import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { asJson } from "../../print/resources.ts";

export default command({
  meta: { name: "counts", description: "Count runs by status" },
  examples: ["tyger run counts", "tyger run counts --since '1 hour ago' --tag scan=42"],
  args: {
    since: { type: "string", alias: "s", valueHint: "time", description: "Only runs created after this time" },
    tag: { type: "map", description: "Only runs with all of these tags" },
  },
  surplus: "ignore",
  async run(context) {
    const { args, host } = context;
    const since = args.since === undefined ? undefined : parseSinceTime(args.since, new Date());
    const { runs } = await connect(context);
    const sorted = Object.entries(await runs.counts({ since, tags: args.tag })).sort(([a], [b]) => (a < b ? -1 : 1));
    await writeAll(host.stdout, asJson(Object.fromEntries(sorted)));
  },
});
