import { command } from "../../line/command.ts";
import { writeLogin } from "../../../client/login-writer.ts";

export default command({
  meta: { name: "logout", description: "Log out of the server" },
  examples: ["tyger logout"],
  async run({ host }) {
    if (host.config.loginFile !== undefined) writeLogin(host.config.loginFile, {});
  },
});
