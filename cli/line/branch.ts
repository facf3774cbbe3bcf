import type { Command } from "./command.ts";

/** A place in the tree of commands: a group, a command, or both (`login` and `login status`). */
export interface Branch {
  /** Other names of it. */
  aliases?: readonly string[];
  /** For programs, not for people: left out of help texts. */
  isHidden?: true;
  /** What a group is about; a command says so itself. */
  description?: string;
  /** The command's file, loaded when it is asked for. */
  load?: () => Promise<{ default: Command }>;
  commands?: Readonly<Record<string, Branch>>;
}

/** The branch below `parent` that `word` names, by its name or an alias. */
export function childOf(parent: Branch, word: string): { name: string; branch: Branch } | undefined {
  const found = Object.entries(parent.commands ?? {}).find(
    ([name, branch]) => name === word || branch.aliases?.includes(word),
  );
  return found && { name: found[0], branch: found[1] };
}
