import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { readLogin } from "../../../client/login-file.ts";
import { namedProxy } from "../../read/proxy.ts";
import { asJson } from "../../print/resources.ts";
import { shownUrlOf } from "../../../client/address.ts";

export default command({
  meta: { name: "status", description: "Show the server you are logged in to" },
  examples: ["tyger login status", "tyger login status --format json"],
  args: {
    format: { type: "choice", choices: ["text", "json"], default: "text", description: "Output format" },
  },
  async run(context) {
    const { args, host } = context;
    const client = await connect(context);
    const metadata = await client.metadata();
    const { proxy } = (await readLogin(host.config.loginFile ?? "")) ?? {};
    const serverUrl = shownUrlOf(client.address);
    const named = namedProxy(proxy);
    if (args.format === "json") {
      await writeAll(host.stdout, asJson({ serverUrl, ...(named && { proxy: named }), metadata }));
    } else {
      await writeAll(host.stdout, `Logged in to ${serverUrl}${named ? ` through the proxy ${named}` : ""}\n`);
    }
  },
});
