import type { Branch } from "./branch.ts";
import { type ArgDef, type Suggestion, UsageError } from "./command.ts";
import { flagsOf, hasArguments, type ParsedWords, readWords } from "./words.ts";

/** A word that the shell can put at the cursor, with its description. */
export interface Candidate {
  word: string;
  description: string;
}

/** Candidates for the word at the cursor: known words, and values that must be looked up. */
export interface Suggestions {
  candidates: Candidate[];
  /** Candidates from the server or the file system, and the part of the word before each of them. */
  lookUp?: { what: "run" | "codespec" | "file"; prefix: string };
}

const NONE: Suggestions = { candidates: [] };

/**
 * Suggests completions of the last word, which is empty or partial; the words before it are complete. Mistakes in them
 * give no suggestions, never an error.
 */
export async function suggestionsFor(words: readonly string[], root: Branch): Promise<Suggestions> {
  const begun = words.at(-1) ?? "";
  const parsed = await readWords(joinAssignments(words.slice(0, -1)), root).catch((err: unknown) => {
    if (err instanceof UsageError) return undefined;
    throw err;
  });
  // Nothing is known about the words after `--`.
  if (!parsed || parsed.rest) return NONE;
  const last = parsed.flags.at(-1);
  if (last && last.text === undefined) return valuesOf(last.def, begun, "");
  const [, assigned, name = "", value = ""] = /^(--([^=]+)=)(.*)$/s.exec(begun) ?? [];
  if (assigned !== undefined) {
    const def = flagsOf(parsed).get(name);
    return def ? valuesOf(def, value, assigned) : NONE;
  }
  if (begun.startsWith("-")) return { candidates: flagCandidates(parsed).filter(({ word }) => word.startsWith(begun)) };
  const { branch, command, words: positionals } = parsed;
  const children = hasArguments(parsed) ? [] : await childCandidates(branch);
  const next = Object.values(command?.args ?? {}).filter(({ type }) => type === "positional")[positionals.length];
  const own = next ? valuesOf(next, begun, "") : NONE;
  return { ...own, candidates: [...children.filter(({ word }) => word.startsWith(begun)), ...own.candidates] };
}

/** Bash passes `--flag=value` as three words, or as two if the value is the word at the cursor. */
function joinAssignments(words: readonly string[]): string[] {
  const joined: string[] = [];
  for (const [index, word] of words.entries()) {
    const before = joined.at(-1);
    if (word === "=" && before?.startsWith("--")) {
      if (index < words.length - 1) joined[joined.length - 1] = `${before}=`;
    } else if (before?.startsWith("--") && before.endsWith("=")) joined[joined.length - 1] = before + word;
    else joined.push(word);
  }
  return joined;
}

const flagCandidates = (parsed: ParsedWords): Candidate[] =>
  [...flagsOf(parsed)].flatMap(([name, { hidden, description }]) =>
    hidden ? [] : [{ word: `--${name}`, description }],
  );

function childCandidates({ commands = {} }: Branch): Promise<Candidate[]> {
  const shown = Object.entries(commands).filter(([, { isHidden }]) => !isHidden);
  return Promise.all(
    shown.map(async ([word, { description, load }]) => ({
      word,
      description: description ?? (await load?.())?.default.meta.description ?? "",
    })),
  );
}

function valuesOf(def: ArgDef, begun: string, prefix: string): Suggestions {
  const suggest: Suggestion | undefined =
    def.type === "boolean" ? ["true", "false"] : "choices" in def ? def.choices : def.suggest;
  if (suggest === undefined) return { candidates: [] };
  if (typeof suggest === "string") return { candidates: [], lookUp: { what: suggest, prefix } };
  const words = suggest.filter((word) => word.toLowerCase().startsWith(begun.toLowerCase()));
  return { candidates: words.map((word) => ({ word: prefix + word, description: "" })) };
}
