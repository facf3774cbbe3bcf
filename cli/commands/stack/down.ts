import { down } from "../../../stack/down.ts";
import { command } from "../../line/command.ts";

export default command({
  meta: { name: "down", description: "Stop the local stack; its data stays, and running jobs continue" },
  examples: ["tyger down", "tyger down --cancel", "tyger down --purge"],
  args: {
    cancel: { type: "boolean", description: "Cancel all open runs first" },
    purge: { type: "boolean", description: "On Kubernetes: end all jobs and remove the namespace of the stack" },
  },
  async run({ args, host, log }) {
    const how = { cancelRuns: args.cancel, purge: args.purge };
    const wasRunning = await down(await host.config.stack(), how, (line) => log.info(line));
    log.info(wasRunning ? "the stack is down" : "the stack was not running");
  },
});
