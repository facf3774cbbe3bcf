import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";

export default command({
  meta: { name: "cancel", description: "Cancel a run" },
  examples: ["tyger run cancel 7"],
  args: { id: { type: "positional", required: true, suggest: "run", description: "Run id" } },
  async run(context) {
    const { args, host } = context;
    const { runs } = await connect(context);
    const run = await runs.cancel(args.id);
    if (run.status !== "Canceled" && run.status !== "Canceling") {
      const reason = run.statusReason ? ` (${run.statusReason})` : "";
      throw new Error(`run ${run.id} cannot be canceled: its status is ${run.status}${reason}`);
    }
    await writeAll(host.stdout, `Cancel requested for run ${run.id}\n`);
  },
});
