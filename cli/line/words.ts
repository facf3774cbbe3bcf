import { parseArgs } from "node:util";
import { type Branch, childOf } from "./branch.ts";
import { type ArgsDef, type Command, type FlagDef, globalArgs, helpArg, UsageError, versionArg } from "./command.ts";

/** Where the words of a command line lead, and what was given on the way; the values are still texts. */
export interface Place {
  /** Names of the commands on the way, without the program's. */
  path: string[];
  branch: Branch;
  /** Undefined where only a group was named. */
  command: Command | undefined;
  /** `tyger help …` asks about the place instead of running it. */
  isHelp: boolean;
  flags: GivenFlag[];
  words: string[];
  /** What follows `--`, undefined without it. */
  rest: string[] | undefined;
}

interface GivenFlag {
  name: string;
  def: FlagDef;
  /** `--limit` or `-l`. */
  spelled: string;
  /** Undefined where the words end before the value. */
  text: string | undefined;
}

/** The name of a place as users type it. */
export const nameOf = ({ path }: Pick<Place, "path">): string => ["tyger", ...path].join(" ");

/** The flags that can be given at a place: those of the command and the global ones. */
export function flagsAt(place: {
  path: readonly string[];
  command: Command | undefined;
}): ReadonlyMap<string, FlagDef> {
  const { path, command } = place;
  const known: ArgsDef = { ...command?.args, ...globalArgs, ...helpArg, ...(path.length === 0 ? versionArg : {}) };
  const flags = Object.entries(known).filter((entry): entry is [string, FlagDef] => entry[1].type !== "positional");
  return new Map(flags);
}

/**
 * Reads words up to the end or `--`: GNU flags, mixed with positional words, of which the first ones name the command.
 * The word after a flag that takes a value is its value, whatever it looks like. Both the commands and the completion of
 * the shells stand on this. Loads only the command that is named.
 * @throws UsageError for a command or a flag that does not exist
 */
export async function readWords(words: readonly string[], root: Branch): Promise<Place> {
  const place: Place = {
    path: [],
    branch: root,
    command: undefined,
    isHelp: false,
    flags: [],
    words: [],
    rest: undefined,
  };
  let unread: readonly string[] | undefined = words;
  while (unread) unread = await readSome(unread, place);
  return place;
}

/** Reads until the tokens behind are no longer right, and returns the words that are left; undefined at the end. */
async function readSome(words: readonly string[], place: Place): Promise<readonly string[] | undefined> {
  const flags = flagsAt(place);
  const { tokens } = parseArgs({ args: [...words], options: optionsOf(flags), strict: false, tokens: true });
  let last = -1;
  for (const token of tokens) {
    const left = words.slice(token.index + 1);
    if (token.kind === "option-terminator") {
      place.rest = left;
      return undefined;
    }
    if (token.kind === "positional") {
      // A command has flags of its own, by which the words after its name are read.
      if (await takeWord(token.value, place)) return left;
      continue;
    }
    const { index, rawName: spelled, inlineValue: isInline, value } = token;
    const word = words[index] ?? "";
    const before = place.flags.at(-1);
    if (spelled === "-=" && index === last && before) {
      // `-w=false`, in which parseArgs sees the letters -w, -=, -f and so on.
      before.text = word.slice(word.indexOf("=") + 1);
      return left;
    }
    last = index;
    const def = flags.get(token.name);
    if (!def) {
      const isGrouped = !word.startsWith("--") && word !== spelled;
      const flag = isGrouped ? `${spelled} in ${word}` : spelled;
      throw new UsageError(`unknown flag: ${shown(flag)} for "${nameOf(place)}"`);
    }
    const text = isInline && !word.startsWith("--") ? value.replace(/^=/, "") : value;
    place.flags.push({ name: token.name, def, spelled, text: def.type === "boolean" ? (text ?? "true") : text });
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

/** Whether something was given that only the command itself can take: what follows names no command below it. */
export const hasArguments = ({ command, flags, words }: Place): boolean =>
  words.length > 0 || flags.some(({ name }) => Object.hasOwn(command?.args ?? {}, name));

/** Whether the word names a command, so that the place is another one. */
async function takeWord(word: string, place: Place): Promise<boolean> {
  const { path, branch, command, flags, words } = place;
  if (path.length === 0 && word === "help" && !place.isHelp) {
    place.isHelp = true;
    return false;
  }
  const child = hasArguments(place) ? undefined : childOf(branch, word);
  if (child) {
    // Commands have a --version of their own, of which this would be taken for the value.
    if (path.length === 0 && flags.some(({ name }) => name === "version")) {
      throw new UsageError(`the flag --version cannot be given with the command "${word}"`);
    }
    path.push(child.name);
    place.branch = child.branch;
    place.command = (await child.branch.load?.())?.default;
    return true;
  }
  if (!command) {
    const parent = nameOf(place);
    throw new UsageError(`unknown command "${shown(word)}" for "${parent}"`, `Run '${parent} --help' for usage.`);
  }
  words.push(word);
  return false;
}

/** What a user typed, cut to what helps to find it again. */
export const shown = (text: string): string =>
  text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
const LONGEST_SHOWN = 300;
