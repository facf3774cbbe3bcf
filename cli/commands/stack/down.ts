import { down } from "../../../stack/down.ts";
import { command } from "../../line/command.ts";

export default command({
  meta: { name: "down", description: "Stop the local stack; its data stays, and running jobs continue" },
  examples: ["tyger down", "tyger down --cancel"],
  args: { cancel: { type: "boolean", description: "Cancel all open runs first" } },
  async run({ args, host, log }) {
    const wasRunning = await down(await host.config.stack(), { cancelRuns: args.cancel }, (line) => log.info(line));
    log.info(wasRunning ? "the stack is down" : "the stack was not running");
  },
});
