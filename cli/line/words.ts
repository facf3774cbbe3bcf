import { parseArgs } from "node:util";
import { type Branch, childOf } from "./branch.ts";
import { type ArgsDef, type Command, type FlagDef, globalArgs, helpArg, UsageError, versionArg } from "./command.ts";

/** The command that a line names and everything given with it, before values are checked. */
export interface ParsedWords {
  /** Names of group and command, without the program's. */
  path: string[];
  branch: Branch;
  /** Undefined if only a group was named. */
  command: Command | undefined;
  /** `tyger help …` describes the command instead of running it. */
  isHelp: boolean;
  flags: GivenFlag[];
  words: string[];
  /** The words after `--`, undefined without it. */
  rest: string[] | undefined;
}

interface GivenFlag {
  name: string;
  def: FlagDef;
  /** `--limit` or `-l`. */
  spelled: string;
  /** Undefined if the words end before the value. */
  text: string | undefined;
}

/** The command's name as users type it, for messages. */
export const commandNameOf = ({ path }: Pick<ParsedWords, "path">): string => ["tyger", ...path].join(" ");

/** The flags that a command accepts: its own and the global ones. */
export function flagsOf(parsed: {
  path: readonly string[];
  command: Command | undefined;
}): ReadonlyMap<string, FlagDef> {
  const { path, command } = parsed;
  const known: ArgsDef = { ...command?.args, ...globalArgs, ...helpArg, ...(path.length === 0 ? versionArg : {}) };
  const flags = Object.entries(known).filter((entry): entry is [string, FlagDef] => entry[1].type !== "positional");
  return new Map(flags);
}

/**
 * Reads GNU flags mixed with positional words, the first of which name the command, up to `--`. The word after a flag that
 * takes a value is its value, whatever it looks like. Used both to run commands and to complete them, so that the two
 * cannot disagree. Loads only the command that is named.
 * @throws UsageError for a command or a flag that does not exist
 */
export async function readWords(words: readonly string[], root: Branch): Promise<ParsedWords> {
  const parsed: ParsedWords = {
    path: [],
    branch: root,
    command: undefined,
    isHelp: false,
    flags: [],
    words: [],
    rest: undefined,
  };
  let unread: readonly string[] | undefined = words;
  while (unread) unread = await readSome(unread, parsed);
  return parsed;
}

/** Reads until the remaining words must be tokenized again, and returns these; undefined at the end. */
async function readSome(words: readonly string[], parsed: ParsedWords): Promise<readonly string[] | undefined> {
  const flags = flagsOf(parsed);
  const { tokens } = parseArgs({ args: [...words], options: optionsOf(flags), strict: false, tokens: true });
  let last = -1;
  for (const token of tokens) {
    const left = (): readonly string[] => words.slice(token.index + 1);
    if (token.kind === "option-terminator") {
      parsed.rest = [...left()];
      return undefined;
    }
    if (token.kind === "positional") {
      // The words after a command's name are read by the command's own flags.
      if (await takeWord(token.value, parsed)) return left();
      continue;
    }
    const { index, rawName: spelled, inlineValue: isInline, value } = token;
    const word = words[index] ?? "";
    const before = parsed.flags.at(-1);
    if (spelled === "-=" && index === last && before) {
      // `-w=false`: parseArgs sees the letters -w, -=, -f and so on.
      before.text = word.slice(word.indexOf("=") + 1);
      return left();
    }
    last = index;
    const def = flags.get(token.name);
    if (!def) {
      const isGrouped = !word.startsWith("--") && word !== spelled;
      const flag = isGrouped ? `${spelled} in ${word}` : spelled;
      throw new UsageError(`unknown flag: ${shown(flag)} for "${commandNameOf(parsed)}"`);
    }
    const text = isInline && !word.startsWith("--") ? value.replace(/^=/, "") : value;
    parsed.flags.push({ name: token.name, def, spelled, text: def.type === "boolean" ? (text ?? "true") : text });
  }
  return undefined;
}

const optionsOf = (flags: ReadonlyMap<string, FlagDef>) =>
  Object.fromEntries(
    [...flags].map(([name, { type, alias }]) => [
      name,
      { type: type === "boolean" ? ("boolean" as const) : ("string" as const), ...(alias && { short: alias }) },
    ]),
  );

/** Whether a positional word or a flag of the command was given, after which no word can name a subcommand. */
export const hasArguments = ({ command, flags, words }: ParsedWords): boolean =>
  words.length > 0 || flags.some(({ name }) => Object.hasOwn(command?.args ?? {}, name));

/** Returns whether the word named a command. */
async function takeWord(word: string, parsed: ParsedWords): Promise<boolean> {
  const { path, branch, command, flags, words } = parsed;
  if (path.length === 0 && word === "help" && !parsed.isHelp) {
    parsed.isHelp = true;
    return false;
  }
  const child = hasArguments(parsed) ? undefined : childOf(branch, word);
  if (child) {
    // Some commands have a --version with a value, which this one would be mistaken for.
    if (path.length === 0 && flags.some(({ name }) => name === "version")) {
      throw new UsageError(`the flag --version cannot be given with the command "${word}"`);
    }
    path.push(child.name);
    parsed.branch = child.branch;
    parsed.command = (await child.branch.load?.())?.default;
    return true;
  }
  if (!command) {
    const parent = commandNameOf(parsed);
    throw new UsageError(`unknown command "${shown(word)}" for "${parent}"`, `Run '${parent} --help' for usage.`);
  }
  words.push(word);
  return false;
}

/** Shortens what a user typed to what helps to find it again. */
export const shown = (text: string): string =>
  text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
const LONGEST_SHOWN = 300;
