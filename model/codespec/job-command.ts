import type { JobCodespec } from "./codespec.ts";
import { CodedError } from "../errors.ts";

/** Command line and environment of the job container; `env` has the codespec's variables and those of the pipes. */
export interface JobCommand {
  command?: string[];
  args?: string[];
  env: Record<string, string>;
}

/** A run of `$` before a name in parentheses; two of them stand for one. */
const REFERENCE = /(\$+)\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)/g;
/** More than an engine would take, and far less than variables that double each other could grow to. */
const MAX_LENGTH = 1024 * 1024;

/** The names that `text` refers to as `$(NAME)`; an escaped `$$(NAME)` is none. */
export const referencesOf = (text: string): string[] =>
  [...text.matchAll(REFERENCE)].filter(([, dollars = ""]) => dollars.length % 2 === 1).map(([, , name = ""]) => name);

/**
 * Replaces `$(NAME)` in command, arguments and environment values by the container's variable of that name. Unknown
 * names, a shell's own `$(cat x)` and variables that refer to themselves are left as they are; `$$(NAME)` gives the
 * literal `$(NAME)`. `pipes` holds the pipe variables, which win over the codespec's own.
 * @throws CodedError InvalidInput when variables that hold each other grow beyond any use
 */
export function expandJobCommand(codespec: JobCodespec, pipes: Readonly<Record<string, string>>): JobCommand {
  const given = new Map(Object.entries(codespec.env ?? {}));
  const values = new Map(Object.entries(pipes));
  const opened = new Set<string>();

  const expand = (text: string): string => {
    const expanded = text.replaceAll(REFERENCE, (whole: string, dollars: string, name: string) => {
      const literal = "$".repeat(Math.floor(dollars.length / 2));
      if (dollars.length % 2 === 0) return `${literal}(${name})`;
      const value = valueOf(name);
      return value === undefined ? literal + whole.slice(dollars.length - 1) : literal + value;
    });
    if (expanded.length > MAX_LENGTH) {
      throw new CodedError("InvalidInput", "The variables of the codespec are too long once they are expanded");
    }
    return expanded;
  };
  const valueOf = (name: string): string | undefined => {
    const text = given.get(name);
    if (values.has(name) || text === undefined || opened.has(name)) return values.get(name);
    opened.add(name);
    const value = expand(text);
    opened.delete(name);
    values.set(name, value);
    return value;
  };

  for (const name of given.keys()) valueOf(name);
  return {
    ...(codespec.command && { command: codespec.command.map(expand) }),
    ...(codespec.args && { args: codespec.args.map(expand) }),
    env: Object.fromEntries(values),
  };
}
