import { describeStack, serverUrlOf } from "../../../stack/status.ts";
import { up } from "../../../stack/up.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { withInterrupt } from "../../terminal/interrupt.ts";
import { readLogin } from "../../../client/login-file.ts";
import { writeLogin } from "../../../client/login-writer.ts";

export default command({
  meta: { name: "up", description: "Start the local stack in the background and log in to it" },
  examples: ["tyger up", "TYGER_DATA_DIR=/data/tyger tyger up", "tyger up --store gs://my-bucket/team"],
  args: {
    store: {
      type: "string",
      valueHint: "url",
      description: "Keep new buffers and logs in gs://BUCKET[/PREFIX], or in the data folder again: local",
    },
  },
  async run({ args, host, log }) {
    const config = await host.config.stack();
    const { view, hasStarted } = await withInterrupt(host, log, (signal) =>
      up(config, (line) => log.info(line), signal, { store: args.store }),
    );
    const serverUrl = serverUrlOf(view);
    const { loginFile } = config;
    if (!loginFile)
      log.warn("not logged in, because there is no folder for the login file: set TYGER_CACHE_FILE or HOME");
    else if ((await readLogin(loginFile).catch(() => undefined))?.serverUrl !== serverUrl) {
      writeLogin(loginFile, { serverUrl, proxy: "auto" });
    }
    if (hasStarted) await writeAll(host.stderr, describeStack(view, config));
    else log.info("the stack is already up");
  },
});
