import type { Command } from "./command.ts";

/** A node in the tree of commands: a group, a command, or both (`login` and `login status`). */
export interface Branch {
  aliases?: readonly string[];
  /** For programs, not people: not shown in help or completion. */
  isHidden?: true;
  /** Of a group; a command's own file describes it. */
  description?: string;
  /** Imports the command's file only when needed: every import costs startup time. */
  load?: () => Promise<{ default: Command }>;
  commands?: Readonly<Record<string, Branch>>;
}

/** Finds a command by name or alias, for the parser and completion alike. */
export function childOf(parent: Branch, word: string): { name: string; branch: Branch } | undefined {
  const found = Object.entries(parent.commands ?? {}).find(
    ([name, branch]) => name === word || branch.aliases?.includes(word),
  );
  return found && { name: found[0], branch: found[1] };
}
