import type { Host } from "../terminal/host.ts";
import type { Log } from "../terminal/log.ts";
import { parseProxy } from "../read/proxy.ts";

interface Flag {
  description: string;
  /** One letter. */
  alias?: string;
  /** Placeholder for the value in help texts. */
  valueHint?: string;
  /** Left out of help texts. */
  hidden?: true;
  suggest?: Suggestion;
  /** Refused when given twice: the user means both values, and one would be lost. */
  isOnce?: true;
}

/** Words that the shell offers for a value: fixed words, ids or names from the server, or files. */
export type Suggestion = readonly string[] | "run" | "codespec" | "file";

export type ArgDef = { type: "positional"; description: string; required?: boolean; suggest?: Suggestion } | FlagDef;

/** Map and list flags can be repeated; otherwise the last one wins, unless `isOnce`. Choices ignore case. */
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

/** Undefined unless given or defaulted, but false for booleans: `run` needs no checks for defaults. */
export type ValueOf<A extends ArgDef> = A extends { type: "boolean" }
  ? boolean
  : A extends { default: string | number } | { required: true }
    ? Raw<A>
    : Raw<A> | undefined;

export type Values<A extends ArgsDef> = { [K in keyof A]: ValueOf<A[K]> };

/** A flag that every command accepts. */
export const helpArg = { help: { type: "boolean", alias: "h", description: "Show this help" } } as const;
/** A flag of `tyger` alone: some commands have a `--version` of their own. */
export const versionArg = { version: { type: "boolean", alias: "v", description: "Show the version" } } as const;

/** Flags that every command accepts, anywhere before `--`. */
export const globalArgs = {
  "log-level": {
    type: "choice",
    choices: ["trace", "debug", "info", "warn", "error"],
    default: "info",
    description: "Lowest level to log",
  },
  "log-format": {
    type: "choice",
    choices: ["pretty", "plain", "json"],
    description: "Log format; pretty on a terminal, otherwise plain",
  },
  proxy: {
    type: "string",
    description: "HTTP proxy: auto, none, a URL, or host:port; login stores it",
    parse: parseProxy,
  },
  baggage: { type: "map", description: "Pairs to send as the baggage header", valueHint: "key=value" },
} as const satisfies ArgsDef;

export interface CommandContext<A extends ArgsDef> {
  args: Values<A>;
  /** The words after `--`, for commands with `passThrough`. */
  rest: string[];
  globals: Values<typeof globalArgs>;
  host: Host;
  log: Log;
}

export interface CommandDef<A extends ArgsDef> {
  meta: { name: string; description: string };
  /** Shell lines for the help text; a test parses each. */
  examples: readonly string[];
  args?: A;
  /** Without it, positional words beyond those of `args` are an error. */
  surplus?: "ignore";
  /** Describes the words after `--`, which are passed as `rest`. Without it they are positional words. */
  passThrough?: string;
  /** Resolves for exit code 0; any error means exit code 1. */
  run(context: CommandContext<A>): Promise<void>;
}

/** A command without its argument types, so that the parser and the program can treat all commands alike. */
export interface Command {
  meta: { name: string; description: string };
  examples: readonly string[];
  args: ArgsDef;
  surplus?: "ignore";
  passThrough?: string;
  run(context: CommandContext<ArgsDef>): Promise<void>;
}

/** Gives `run` values typed by its `args`. */
export function command<const A extends ArgsDef>(def: CommandDef<A>): Command {
  // `readArgv` fills `args` from `def.args`, so the values have the types of A.
  return { ...def, args: def.args ?? {} };
}

/** A mistake in the command line, reported without a log line. `hint` is a second line for the user. */
export class UsageError extends Error {
  override name = "UsageError";
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** A failure that the contract wants as a log line of level fatal instead of `Error: …`. */
export class FatalError extends Error {
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(message: string, fields: Readonly<Record<string, unknown>>, options?: ErrorOptions) {
    super(message, options);
    this.name = "FatalError";
    this.fields = fields;
  }
}

/** Ends the command with exit code 1 when everything was already reported. */
export class QuietFailure extends Error {
  override name = "QuietFailure";
}
