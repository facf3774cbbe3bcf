import { connect } from "../../server/connect.ts";
import { command, type ArgsDef, type CommandContext } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { type Candidate, suggestionsFor } from "../../line/suggestions.ts";
import { TREE } from "../../tree.ts";

/** The user is waiting at the prompt. */
const LOOK_UP_MS = 1000;
const MOST = 200;
/** Tells the shell to complete files. */
const FILES = ":files";

export default command({
  meta: { name: "__complete", description: "Print completions of the last word, one per line" },
  examples: [],
  passThrough: "The words so far; the last one is completed",
  async run(context) {
    const { host, rest } = context;
    const { candidates, lookUp } = await suggestionsFor(rest, TREE);
    if (lookUp?.what === "file") return writeAll(host.stdout, `${FILES}\n`);
    const found = lookUp ? await lookedUp(lookUp.what, context).catch(() => []) : [];
    const begun = rest.at(-1) ?? "";
    const live = found.map(({ word, description }) => ({ word: `${lookUp?.prefix ?? ""}${word}`, description }));
    const fitting = live.filter(({ word }) => word.startsWith(begun));
    const lines = [...candidates, ...fitting].map(({ word, description }) => `${word}\t${description}\n`);
    await writeAll(host.stdout, lines.join(""));
  },
});

async function lookedUp(what: "run" | "codespec", context: CommandContext<ArgsDef>): Promise<Candidate[]> {
  const { runs, codespecs } = await connect(context, { retry: false });
  const options = { limit: MOST, signal: AbortSignal.timeout(LOOK_UP_MS) };
  const found: Candidate[] = [];
  if (what === "run") {
    for await (const { id, status } of runs.list(options)) found.push({ word: String(id), description: status });
  } else {
    for await (const { name, version } of codespecs.list(options)) {
      found.push({ word: name, description: `version ${version}` });
    }
  }
  return found;
}
