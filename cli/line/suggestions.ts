import { type Branch, childOf } from "./branch.ts";
import {
  type ArgDef,
  type ArgsDef,
  type Command,
  globalArgs,
  helpArg,
  type Suggestion,
  versionArg,
} from "./command.ts";

/** A word that the shell may put at the cursor, and what it is. */
export interface Candidate {
  word: string;
  description: string;
}

/** What may stand at the cursor: words that are known, and values that have to be looked up. */
export interface Suggestions {
  candidates: Candidate[];
  /** Candidates that the server or the file system has, and what stands before each of them in the word. */
  lookUp?: { what: "run" | "codespec" | "file"; prefix: string };
}

/**
 * What may stand in place of the last of `words`, which is empty or begun; the words before it are complete. Mistakes
 * in them lead to no suggestions, never to an error.
 */
export async function suggestionsFor(words: readonly string[], root: Branch): Promise<Suggestions> {
  const begun = words.at(-1) ?? "";
  const place = await readPlace(joinAssignments(words.slice(0, -1)), root);
  if (place === undefined) return { candidates: [] };
  const { branch, command, awaiting, positionals } = place;
  if (awaiting) return valuesOf(awaiting, begun, "");
  const assigned = /^(--[^=]+=)(.*)$/s.exec(begun);
  if (assigned) {
    const [, flag = "", value = ""] = assigned;
    const def = flagsOf(place)[flag.slice(2, -1)];
    return def ? valuesOf(def, value, flag) : { candidates: [] };
  }
  if (begun.startsWith("-")) return { candidates: flagCandidates(place).filter(({ word }) => word.startsWith(begun)) };
  const children = positionals === 0 ? await childCandidates(branch) : [];
  const next = Object.values(command?.args ?? {}).filter(({ type }) => type === "positional")[positionals];
  const own: Suggestions = next ? valuesOf(next, begun, "") : { candidates: [] };
  return { ...own, candidates: [...children.filter(({ word }) => word.startsWith(begun)), ...own.candidates] };
}

interface Place {
  branch: Branch;
  command: Command | undefined;
  isRoot: boolean;
  /** The flag whose value comes next. */
  awaiting: ArgDef | undefined;
  positionals: number;
}

/** Bash hands `--flag=value` over as three words. */
function joinAssignments(words: readonly string[]): string[] {
  const joined: string[] = [];
  for (const word of words) {
    const before = joined.at(-1);
    if (word === "=" && before?.startsWith("--")) joined[joined.length - 1] = `${before}=`;
    else if (before?.startsWith("--") && before.endsWith("=")) joined[joined.length - 1] = before + word;
    else joined.push(word);
  }
  return joined;
}

/** Undefined beyond `--`, where nothing is known. */
async function readPlace(words: readonly string[], root: Branch): Promise<Place | undefined> {
  const place: Place = { branch: root, command: undefined, isRoot: true, awaiting: undefined, positionals: 0 };
  for (const word of words) {
    if (place.awaiting) {
      place.awaiting = undefined;
    } else if (word === "--") {
      return undefined;
    } else if (word.startsWith("--")) {
      const [name = "", value] = word.slice(2).split("=", 2);
      place.awaiting = awaits(flagsOf(place)[name], value);
    } else if (word.startsWith("-") && word.length > 1) {
      place.awaiting = awaits(shortFlag(place, word.at(-1)), undefined);
    } else {
      const child = place.positionals === 0 ? childOf(place.branch, word) : undefined;
      if (child) {
        place.branch = child.branch;
        place.command = (await child.branch.load?.())?.default;
        place.isRoot = false;
      } else {
        place.positionals += 1;
      }
    }
  }
  return place;
}

const awaits = (def: ArgDef | undefined, value: string | undefined): ArgDef | undefined =>
  def === undefined || (def.type === "boolean" && value === undefined) || value ? undefined : def;

const flagsOf = ({ command }: Place): ArgsDef => ({ ...globalArgs, ...command?.args });

const shortFlag = (place: Place, letter: string | undefined): ArgDef | undefined =>
  Object.values(flagsOf(place)).find((def) => "alias" in def && def.alias === letter);

function flagCandidates(place: Place): Candidate[] {
  const known: ArgsDef = { ...flagsOf(place), ...helpArg, ...(place.isRoot ? versionArg : {}) };
  return Object.entries(known).flatMap(([name, def]) =>
    def.type === "positional" || def.hidden ? [] : [{ word: `--${name}`, description: def.description }],
  );
}

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
    def.type === "choice" ? def.choices : def.type === "boolean" ? ["true", "false"] : def.suggest;
  if (suggest === undefined) return { candidates: [] };
  if (typeof suggest === "string") return { candidates: [], lookUp: { what: suggest, prefix } };
  const words = suggest.filter((word) => word.toLowerCase().startsWith(begun.toLowerCase()));
  return { candidates: words.map((word) => ({ word: prefix + word, description: "" })) };
}
