import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { SCRIPTS } from "../../line/completion-scripts.ts";

const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

export default command({
  meta: { name: "completion", description: "Print a shell script that completes commands, flags, and ids" },
  examples: ["source <(tyger completion bash)", "source <(tyger completion zsh)", "tyger completion fish | source"],
  args: { shell: { type: "positional", required: true, suggest: SHELLS, description: SHELLS.join(", ") } },
  async run({ args, host }) {
    const shell = SHELLS.find((name) => name === args.shell);
    if (!shell) throw new Error(`no completion for the shell '${args.shell}'; use one of ${SHELLS.join(", ")}`);
    await writeAll(host.stdout, SCRIPTS[shell]);
  },
});
