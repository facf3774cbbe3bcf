import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { failureOf } from "../../terminal/pipe-reader.ts";
import { shownRun, shownRunSystem } from "../../print/resources.ts";

export default command({
  meta: { name: "watch", description: "Print a line of JSON for each change to a run until it ends" },
  examples: ["tyger run watch 7", "tyger run watch 7 --full-resource"],
  args: {
    id: { type: "positional", required: true, suggest: "run", description: "Run id" },
    "full-resource": { type: "boolean", description: "Print the whole run, not just its status fields" },
  },
  async run(context) {
    const { args, host, log } = context;
    const shown = args["full-resource"] ? shownRun : shownRunSystem;
    let last = "";
    const { runs } = await connect(context);
    const onReopen = (error: unknown): void => log.warn("Reconnecting to the run", { error });
    for await (const run of runs.watch(args.id, { onReopen, signal: failureOf(host.stdout) })) {
      const line = `${JSON.stringify(shown(run))}\n`;
      if (line !== last) await writeAll(host.stdout, line);
      last = line;
    }
  },
});
