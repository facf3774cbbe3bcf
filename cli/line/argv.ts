import type { Branch } from "./branch.ts";
import { type ArgsDef, type Command, globalArgs, UsageError, type Values } from "./command.ts";
import { valueFrom } from "./values.ts";
import { commandNameOf, type ParsedWords, readWords, shown } from "./words.ts";

export interface Invocation extends Pick<ParsedWords, "path" | "branch" | "command"> {
  wants: "run" | "help" | "version";
  args: Values<ArgsDef>;
  globals: Values<typeof globalArgs>;
  rest: string[];
}

type Given = ReadonlyMap<string, unknown>;

/**
 * Parses a command line completely, so that a mistake anywhere is reported before anything runs.
 * @throws UsageError
 */
export async function readArgv(argv: readonly string[], root: Branch): Promise<Invocation> {
  const parsed = await readWords(argv, root);
  const { path, branch, command, rest = [] } = parsed;
  const given = givenValues(parsed);
  const wants = wantsOf(parsed, given);
  return {
    path,
    branch,
    command,
    wants,
    args: command && wants === "run" ? argsOf(parsed, command, given) : {},
    globals: complete(globalArgs, given),
    rest: command?.passThrough ? rest : [],
  };
}

function givenValues({ flags }: ParsedWords): Given {
  const given = new Map<string, unknown>();
  for (const { name, def, spelled, text } of flags) {
    if (text === undefined) throw new UsageError(`the flag ${spelled} needs a value`);
    if (def.isOnce && given.has(name)) throw new UsageError(`the flag --${name} can be given only once`);
    try {
      given.set(name, valueFrom(def, text, given.get(name)));
    } catch (err) {
      const reason = err instanceof Error ? err.message : String(err);
      throw new UsageError(`invalid value "${shown(text)}" for the flag --${name}: ${shown(reason)}`);
    }
  }
  return given;
}

function wantsOf({ path, command, isHelp, rest = [] }: ParsedWords, given: Given): Invocation["wants"] {
  if (given.get("help") === true || isHelp) return "help";
  if (path.length === 0 && rest.length === 0) return given.get("version") === true ? "version" : "help";
  if (command) return "run";
  throw new UsageError("a command is required");
}

function argsOf(parsed: ParsedWords, command: Command, given: Given): Values<ArgsDef> {
  const name = commandNameOf(parsed);
  const words = command.passThrough ? [...parsed.words] : [...parsed.words, ...(parsed.rest ?? [])];
  const values: Record<string, unknown> = complete(command.args, given);
  for (const [argument, def] of Object.entries(command.args)) {
    if (def.type !== "positional") continue;
    const word = words.shift();
    // An empty one is an unset variable of a script; in a path it would name something else.
    if (!word && def.required !== false) {
      const problem = word === undefined ? "missing" : "empty";
      throw new UsageError(`the argument ${argument.toUpperCase()} of "${name}" is ${problem}`);
    }
    if (word !== undefined) values[argument] = word;
  }
  const [surplus] = words;
  if (surplus !== undefined && command.surplus !== "ignore") {
    throw new UsageError(`unexpected argument "${shown(surplus)}" for "${name}"`);
  }
  // The types are derived from the same definitions.
  return values as Values<ArgsDef>;
}

/** Adds defaults to the given flags, and false for booleans. */
function complete<A extends ArgsDef>(defs: A, given: Given): Values<A> {
  const values: Record<string, unknown> = {};
  for (const [name, def] of Object.entries(defs)) {
    if (given.has(name)) values[name] = given.get(name);
    else if (def.type === "boolean") values[name] = false;
    else if ("default" in def && def.default !== undefined)
      values[name] = valueFrom(def, String(def.default), undefined);
  }
  return values as Values<A>;
}
