import { type ArgDef, type ArgsDef, type Command, globalArgs, helpArg, type Values, versionArg } from "./command.ts";
import { splitCsv } from "./csv.ts";
import { type Branch, childOf } from "./branch.ts";

/** What a command line asks for. */
export interface Invocation {
  /** Names of the commands on the way, without the program's. */
  path: string[];
  branch: Branch;
  /** Undefined where only a group was named. */
  command: Command | undefined;
  wants: "run" | "help" | "version";
  args: Values<ArgsDef>;
  globals: Values<typeof globalArgs>;
  rest: string[];
}

/** A command line that cannot be obeyed. `hint` is a second line for the person who typed it. */
export class UsageError extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.name = "UsageError";
    this.hint = hint;
  }
}

/**
 * Reads a command line: GNU flags, mixed with positional words, up to `--`. The word after a flag that takes a value is
 * its value, whatever it looks like. Loads only the command that is named.
 * @throws UsageError
 */
export async function readArgv(argv: readonly string[], root: Branch): Promise<Invocation> {
  const reader = new ArgvReader(argv, root);
  await reader.read();
  return reader.invocation();
}

class ArgvReader {
  readonly #words: readonly string[];
  readonly #path: string[] = [];
  readonly #positionals: string[] = [];
  readonly #given = new Map<string, ReturnType<typeof valueFrom>>();
  #at = 0;
  #branch: Branch;
  #command: Command | undefined;
  #wantsHelp = false;
  #rest: string[] = [];

  constructor(words: readonly string[], root: Branch) {
    this.#words = words;
    this.#branch = root;
  }

  async read(): Promise<void> {
    while (this.#at < this.#words.length) {
      const word = this.#words[this.#at++] ?? "";
      if (word === "--") {
        this.#rest = this.#words.slice(this.#at);
        return;
      }
      if (word.startsWith("--")) this.#readLong(word);
      else if (word.startsWith("-") && word !== "-") this.#readShort(word);
      else await this.#readWord(word);
    }
  }

  async #readWord(word: string): Promise<void> {
    if (this.#path.length === 0 && word === "help" && !this.#wantsHelp) {
      this.#wantsHelp = true;
      return;
    }
    const hasOwn = Object.keys(this.#command?.args ?? {}).some((name) => this.#given.has(name));
    const child = this.#positionals.length === 0 && !hasOwn ? childOf(this.#branch, word) : undefined;
    if (child) {
      // Commands have a --version of their own, of which this would be taken for the value.
      if (this.#path.length === 0 && this.#given.has("version")) {
        throw new UsageError(`the flag --version cannot be given with the command "${word}"`);
      }
      this.#path.push(child.name);
      this.#branch = child.branch;
      this.#command = (await child.branch.load?.())?.default;
    } else if (this.#command) {
      this.#positionals.push(word);
    } else {
      const parent = this.#name();
      throw new UsageError(`unknown command "${shown(word)}" for "${parent}"`, `Run '${parent} --help' for usage.`);
    }
  }

  #readLong(word: string): void {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    const def = Object.hasOwn(this.#flags(), name) ? this.#flags()[name] : undefined;
    if (!def || def.type === "positional") throw this.#unknownFlag(`--${name}`);
    if (equals >= 0) this.#take(name, def, word.slice(equals + 1));
    else if (def.type === "boolean") this.#take(name, def, "true");
    else this.#take(name, def, this.#next(`--${name}`));
  }

  #readShort(word: string): void {
    for (let at = 1; at < word.length; at++) {
      const letter = word[at];
      const [name, def] = Object.entries(this.#flags()).find(([, def]) => "alias" in def && def.alias === letter) ?? [];
      if (!name || !def) throw this.#unknownFlag(word.length === 2 ? word : `-${letter} in ${word}`);
      const tail = word.slice(at + 1);
      if (tail.startsWith("=")) return this.#take(name, def, tail.slice(1));
      if (def.type === "boolean") this.#take(name, def, "true");
      else return this.#take(name, def, tail === "" ? this.#next(`-${letter}`) : tail);
    }
  }

  #unknownFlag = (flag: string): UsageError => new UsageError(`unknown flag: ${shown(flag)} for "${this.#name()}"`);

  #next(flag: string): string {
    const value = this.#words[this.#at++];
    if (value === undefined) throw new UsageError(`the flag ${flag} needs a value`);
    return value;
  }

  #take(name: string, def: ArgDef, text: string): void {
    try {
      this.#given.set(name, valueFrom(def, text, this.#given.get(name)));
    } catch (err) {
      const reason = err instanceof Error ? err.message : String(err);
      throw new UsageError(`invalid value "${shown(text)}" for the flag --${name}: ${shown(reason)}`);
    }
  }

  #flags(): ArgsDef {
    return {
      ...globalArgs,
      ...helpArg,
      ...(this.#path.length === 0 ? versionArg : {}),
      ...this.#command?.args,
    };
  }

  #name = (): string => ["tyger", ...this.#path].join(" ");

  invocation(): Invocation {
    const command = this.#command;
    const wants = this.#wants();
    return {
      path: this.#path,
      branch: this.#branch,
      command,
      wants,
      args: command && wants === "run" ? this.#values(command) : {},
      globals: this.#complete(globalArgs),
      rest: command?.passThrough ? this.#rest : [],
    };
  }

  #wants(): Invocation["wants"] {
    if (this.#given.get("help") === true || this.#wantsHelp) return "help";
    if (this.#path.length === 0 && this.#rest.length === 0) {
      return this.#given.get("version") === true ? "version" : "help";
    }
    if (this.#command) return "run";
    throw new UsageError("a command is required");
  }

  #values(command: Command): Values<ArgsDef> {
    const words = command.passThrough ? [...this.#positionals] : [...this.#positionals, ...this.#rest];
    const values: Record<string, unknown> = this.#complete(command.args);
    for (const [name, def] of Object.entries(command.args)) {
      if (def.type !== "positional") continue;
      const word = words.shift();
      // An empty one is a variable that a script did not set; as part of a path it would name something else.
      if (!word && def.required !== false) {
        const what = word === undefined ? "missing" : "empty";
        throw new UsageError(`the argument ${name.toUpperCase()} of "${this.#name()}" is ${what}`);
      }
      if (word !== undefined) values[name] = word;
    }
    const [surplus] = words;
    if (surplus !== undefined && command.surplus !== "ignore") {
      throw new UsageError(`unexpected argument "${shown(surplus)}" for "${this.#name()}"`);
    }
    // Filled by the definitions, which the types follow.
    return values as Values<ArgsDef>;
  }

  /** The values of the flags in `defs`: given ones, defaults, and false for booleans. */
  #complete<A extends ArgsDef>(defs: A): Values<A> {
    const values: Record<string, unknown> = {};
    for (const [name, def] of Object.entries(defs)) {
      if (this.#given.has(name)) values[name] = this.#given.get(name);
      else if (def.type === "boolean") values[name] = false;
      else if ((def.type === "string" || def.type === "choice") && def.default !== undefined)
        values[name] = valueFrom(def, def.default, undefined);
      else if (def.type === "int" && def.default !== undefined) values[name] = def.default;
    }
    return values as Values<A>;
  }
}

/** What somebody typed, as far as it helps to find it again. */
const shown = (text: string): string => (text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text);
const LONGEST_SHOWN = 300;

/** The value of one occurrence of a flag; maps and lists add to what was given before. */
function valueFrom(def: ArgDef, text: string, before: unknown): unknown {
  switch (def.type) {
    case "positional":
      return text;
    case "string":
      return def.parse ? def.parse(text) : text;
    case "choice":
      return choiceOf(def.choices, text);
    case "int":
      return wholeNumber(text);
    case "boolean":
      return truth(text);
    case "list":
      return [...(Array.isArray(before) ? (before as string[]) : []), ...(text === "" ? [] : splitCsv(text))];
    case "map":
      return { ...(before as Record<string, string> | undefined), ...pairsOf(text, def.separator === "always") };
  }
}

function choiceOf(choices: readonly string[], text: string): string {
  const choice = choices.find((candidate) => candidate === text.toLowerCase());
  if (choice === undefined) throw new Error(`it must be one of ${choices.join(", ")}`);
  return choice;
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!/^[+-]?[0-9]+$/.test(text) || !Number.isSafeInteger(number)) throw new Error("it is not a whole number");
  return number;
}

function truth(text: string): boolean {
  if (/^(?:1|t|true)$/i.test(text)) return true;
  if (/^(?:0|f|false)$/i.test(text)) return false;
  throw new Error("it must be true or false");
}

/** An occurrence with exactly one `=` is one pair, commas and all; with more it is a list of pairs. */
function pairsOf(text: string, alwaysSplit: boolean): Record<string, string> {
  const isOne = text.split("=").length === 2 && !alwaysSplit;
  const pairs = (isOne ? [text] : splitCsv(text)).map((part): [string, string] => {
    const equals = part.indexOf("=");
    if (equals < 0) throw new Error(`'${part}' is not of the form key=value`);
    return [part.slice(0, equals), part.slice(equals + 1)];
  });
  return Object.fromEntries(pairs);
}
