import type { Run } from "../../../model/run/run.ts";
import { connect } from "../../server/client.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { cancelRun } from "../../run/run-cancel.ts";

export default command({
  meta: { name: "cancel", description: "Ask for a run to be canceled" },
  examples: ["tyger run cancel 7"],
  args: { id: { type: "positional", required: true, suggest: "run", description: "Run id" } },
  async run(context) {
    const { args, host } = context;
    const run: Run = await cancelRun(await connect(context), args.id);
    if (run.status !== "Canceled" && run.status !== "Canceling") {
      const reason = run.statusReason ? ` (${run.statusReason})` : "";
      throw new Error(`the run ${run.id} cannot be canceled, its status is ${run.status}${reason}`);
    }
    await writeAll(host.stdout, `The cancellation of run ${run.id} has been requested\n`);
  },
});
