import type { Host } from "../terminal/host.ts";
import type { Log } from "../terminal/log.ts";
import { parseProxy } from "../read/proxy.ts";

interface Flag {
  description: string;
  /** One letter. */
  alias?: string;
  /** Stands for the value in help texts. */
  valueHint?: string;
  /** Left out of help texts. */
  hidden?: true;
  suggest?: Suggestion;
  /** Refused when it is given twice: both values would be meant, and one would be lost. */
  isOnce?: true;
}

/** What the shell offers for a value: words, ids or names that the server has, or files. */
export type Suggestion = readonly string[] | "run" | "codespec" | "file";

export type ArgDef = { type: "positional"; description: string; required?: boolean; suggest?: Suggestion } | FlagDef;

/** Map and list flags can be repeated; of the others the last one counts, unless `isOnce`. Choices have no case. */
export type FlagDef =
  | ({ type: "string"; default?: string; parse?: (text: string) => unknown } & Flag)
  | ({ type: "choice"; choices: readonly string[]; default?: string } & Flag)
  | ({ type: "int"; default?: number } & Flag)
  | ({ type: "boolean" } & Flag)
  | ({ type: "map"; separator?: "always" } & Flag)
  | ({ type: "list"; choices?: readonly string[] } & Flag);

export type ArgsDef = Readonly<Record<string, ArgDef>>;

type Raw<A extends ArgDef> = A extends { parse: (text: string) => infer V }
  ? V
  : A extends { type: "choice"; choices: readonly (infer W)[] }
    ? W
    : A extends { type: "int" }
      ? number
      : A extends { type: "map" }
        ? Record<string, string>
        : A extends { type: "list" }
          ? string[]
          : string;

/** Undefined is what was not given and has no default; a boolean that was not given is false. */
export type ValueOf<A extends ArgDef> = A extends { type: "boolean" }
  ? boolean
  : A extends { default: string | number } | { required: true }
    ? Raw<A>
    : Raw<A> | undefined;

export type Values<A extends ArgsDef> = { [K in keyof A]: ValueOf<A[K]> };

/** Known at every place. */
export const helpArg = { help: { type: "boolean", alias: "h", description: "Show this help" } } as const;
/** Known where no command is named. */
export const versionArg = { version: { type: "boolean", alias: "v", description: "Show the version" } } as const;

/** Flags that stand anywhere before `--`. */
export const globalArgs = {
  "log-level": {
    type: "choice",
    choices: ["trace", "debug", "info", "warn", "error"],
    default: "info",
    description: "What to log",
  },
  "log-format": {
    type: "choice",
    choices: ["pretty", "plain", "json"],
    description: "How to log; pretty on a terminal, else plain",
  },
  proxy: {
    type: "string",
    description: "HTTP proxy: auto, none, a URL or host:port; stored by login",
    parse: parseProxy,
  },
  baggage: { type: "map", description: "Pairs that are sent as baggage header", valueHint: "key=value" },
} as const satisfies ArgsDef;

export interface CommandContext<A extends ArgsDef> {
  args: Values<A>;
  /** The words after `--`, of commands that take them. */
  rest: string[];
  globals: Values<typeof globalArgs>;
  host: Host;
  log: Log;
}

export interface CommandDef<A extends ArgsDef> {
  meta: { name: string; description: string };
  /** Command lines of a shell, for the help text. */
  examples: readonly string[];
  args?: A;
  /** Positional words beyond those of `args`; an error unless they are to be ignored. */
  surplus?: "ignore";
  /** What the words after `--` are, for the help text: they are handed over as `rest`, else they are positional words. */
  passThrough?: string;
  /** Resolves for exit code 0; every error is exit code 1. */
  run(context: CommandContext<A>): Promise<void>;
}

/** A command whose types no longer matter: what the parser and the program see of each. */
export interface Command {
  meta: { name: string; description: string };
  examples: readonly string[];
  args: ArgsDef;
  surplus?: "ignore";
  passThrough?: string;
  run(context: CommandContext<ArgsDef>): Promise<void>;
}

/** Defines one command; the default export of its file. */
export function command<const A extends ArgsDef>(def: CommandDef<A>): Command {
  // The reader of the command line fills `args` by `def.args`, so that the values have the types of A.
  return { ...def, args: def.args ?? {} };
}

/** A command line that cannot be obeyed. `hint` is a second line for the person who typed it. */
export class UsageError extends Error {
  override name = "UsageError";
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** A failure that is shown as a log line of level fatal. */
export class FatalError extends Error {
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(message: string, fields: Readonly<Record<string, unknown>>, options?: ErrorOptions) {
    super(message, options);
    this.name = "FatalError";
    this.fields = fields;
  }
}

/** Ends the command with exit code 1; all that there is to say has been said. */
export class QuietFailure extends Error {
  override name = "QuietFailure";
}
