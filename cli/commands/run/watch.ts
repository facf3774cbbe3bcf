import { connect } from "../../server/client.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { shownRun, shownRunSystem } from "../../print/resources.ts";
import { watchRun } from "../../run/run-watch.ts";

export default command({
  meta: { name: "watch", description: "Print a line of JSON for each change of a run until it ends" },
  examples: ["tyger run watch 7", "tyger run watch 7 --full-resource"],
  args: {
    id: { type: "positional", required: true, suggest: "run", description: "Run id" },
    "full-resource": { type: "boolean", description: "Print the whole run, not only what the system says of it" },
  },
  async run(context) {
    const { args, host, log } = context;
    const shown = args["full-resource"] ? shownRun : shownRunSystem;
    let last = "";
    for await (const run of watchRun(await connect(context), log, args.id)) {
      const line = `${JSON.stringify(shown(run))}\n`;
      if (line !== last) await writeAll(host.stdout, line);
      last = line;
    }
  },
});
