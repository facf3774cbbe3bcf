import { describeStack, engineProblems, status } from "../../../stack/status.ts";
import { command, QuietFailure } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";

export default command({
  meta: { name: "status", description: "Show the status of the local stack; exits 1 unless everything is ready" },
  examples: ["tyger status"],
  async run({ host }) {
    const config = await host.config.stack();
    const view = await status(config);
    await writeAll(host.stdout, describeStack(view, config, view && (await engineProblems(view))));
    if (!view?.isReady) throw new QuietFailure();
  },
});
