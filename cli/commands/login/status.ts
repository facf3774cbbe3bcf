import { shownUrlOf } from "../../../client/address.ts";
import { readLogin } from "../../../client/login-file.ts";
import { command } from "../../line/command.ts";
import { asJson } from "../../print/resources.ts";
import { namedProxy } from "../../read/proxy.ts";
import { connect } from "../../server/connect.ts";
import { writeAll } from "../../terminal/host.ts";

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
    // A login that has ended is an error, and not the status of before.
    const token = await client.token?.();
    const { proxy, principal } = (await readLogin(host.config.loginFile ?? "")) ?? {};
    const roles = token === undefined ? undefined : await rolesIn(token);
    const serverUrl = shownUrlOf(client.address);
    const named = namedProxy(proxy);
    if (args.format === "json") {
      const who = { ...(principal && { principal }), ...(roles && { roles }) };
      await writeAll(host.stdout, asJson({ serverUrl, ...who, ...(named && { proxy: named }), metadata }));
      return;
    }
    const as = principal ? ` as '${principal}'` : "";
    const having = roles && roles.length > 0 ? ` with the roles ${roles.map((role) => `'${role}'`).join(", ")}` : "";
    const through = named ? ` through the proxy ${named}` : "";
    await writeAll(host.stdout, `Logged in to ${serverUrl}${as}${having}${through}\n`);
  },
});

async function rolesIn(token: string): Promise<readonly string[]> {
  const { factsIn } = await import("../../../client/auth/claims.ts");
  return factsIn(token).roles;
}
