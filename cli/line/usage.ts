import { stripVTControlCharacters } from "node:util";
import { type ArgsDef as CittyArgs, type CommandDef as CittyCommand, renderUsage } from "citty";
import type { Branch } from "./branch.ts";
import { fitUsage } from "./usage-layout.ts";
import { type ArgDef, type ArgsDef, globalArgs, helpArg, versionArg } from "./command.ts";

/** The help text of the place in the tree that `path` leads to; `columns` is the width of the terminal it goes to. */
export async function usageOf(
  path: readonly string[],
  branch: Branch,
  { hasColours, columns }: { hasColours: boolean; columns: number | undefined },
): Promise<string> {
  const command = (await branch.load?.())?.default;
  const parents = ["tyger", ...path.slice(0, -1)].join(" ");
  const shown: CittyCommand = {
    meta: {
      name: path.at(-1) ?? "tyger",
      description: command?.meta.description ?? branch.description ?? "",
    },
    args: cittyArgs({
      ...command?.args,
      ...globalArgs,
      ...helpArg,
      ...(path.length === 0 ? versionArg : {}),
    }),
    subCommands: await subCommandsOf(branch),
  };
  const usage = await renderUsage(shown, path.length > 0 ? { meta: { name: parents } } : undefined);
  const examples = command?.examples.map((line) => `  ${line}\n`).join("") ?? "";
  const text = (command?.passThrough ? usage.replace(/(USAGE.*)/, "$1 [-- ARGS…]") : usage).replace(/ +$/gm, "");
  const shownText = hasColours ? text : stripVTControlCharacters(text);
  const fitted = columns === undefined ? shownText : fitUsage(shownText, columns);
  return `${fitted}\n${examples === "" ? "" : `EXAMPLES\n\n${examples}`}`;
}

async function subCommandsOf(branch: Branch): Promise<Record<string, CittyCommand>> {
  const shown = Object.entries(branch.commands ?? {}).filter(([, child]) => !child.isHidden);
  const entries = shown.map(async ([name, child]): Promise<[string, CittyCommand]> => {
    const description = child.description ?? (await child.load?.())?.default.meta.description ?? "";
    return [name, { meta: { name, description, alias: [...(child.aliases ?? [])] } }];
  });
  return Object.fromEntries(await Promise.all(entries));
}

function cittyArgs(args: ArgsDef): CittyArgs {
  const shown = Object.entries(args).filter(([, def]) => !("hidden" in def && def.hidden));
  return Object.fromEntries(shown.map(([name, def]) => [name, cittyArg(def)]));
}

function cittyArg(def: ArgDef): CittyArgs[string] {
  const { description } = def;
  if (def.type === "positional") return { type: "positional", description, required: def.required !== false };
  const alias = def.alias === undefined ? {} : { alias: def.alias };
  if (def.type === "boolean") return { type: "boolean", description, ...alias };
  if (def.type === "choice") {
    const fallback = def.default === undefined ? {} : { default: def.default };
    return { type: "enum", options: [...def.choices], description, ...alias, ...fallback };
  }
  const many = def.type === "map" || def.type === "list" ? " (may be repeated)" : "";
  const hint = def.valueHint ?? { string: "value", int: "number", map: "key=value", list: "value" }[def.type];
  const fallback = "default" in def && def.default !== undefined ? { default: String(def.default) } : {};
  return { type: "string", description: description + many, valueHint: hint, ...alias, ...fallback };
}
