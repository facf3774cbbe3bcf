import { stripVTControlCharacters } from "node:util";
import { type ArgsDef as CittyArgs, type CommandDef as CittyCommand, renderUsage } from "citty";
import type { Branch } from "./branch.ts";
import type { Command, FlagDef } from "./command.ts";
import { flagsAt } from "./words.ts";
import { wrap } from "./wrap.ts";

/** Between the left edge and the end of a label, and between the label and its text: citty's. */
const MARGIN = 2;
const GAP = 4;
/** Narrower columns of text are hard to read: then it stands below its label. */
const LEAST_COLUMNS = 24;
/** Citty adds it to the text of a positional argument. */
const REQUIRED = " (Required)";

/** The help text of the place that `path` leads to; `columns` is the width of the terminal it goes to. */
export async function usageOf(
  path: readonly string[],
  branch: Branch,
  { hasColours, columns = Infinity }: { hasColours: boolean; columns: number | undefined },
): Promise<string> {
  const command = (await branch.load?.())?.default;
  const parents = ["tyger", ...path.slice(0, -1)].join(" ");
  const shown: CittyCommand = {
    meta: {
      name: path.at(-1) ?? "tyger",
      description: command?.meta.description ?? branch.description ?? "",
    },
    args: {
      ...positionalsOf(command, columns),
      ...flagsOf(
        [...flagsAt({ path, command })].filter(([, { hidden }]) => !hidden),
        columns,
      ),
    },
    subCommands: await subCommandsOf(branch, columns),
  };
  const usage = await renderUsage(shown, path.length > 0 ? { meta: { name: parents } } : undefined);
  const lines = (hasColours ? usage : stripVTControlCharacters(usage)).split("\n").map((line) => {
    const trimmed = withoutFill(line);
    return wrap(trimmed, columns, " ".repeat(trimmed.search(/[^ ]|$/) + MARGIN));
  });
  const examples = command?.examples.map((line) => `  ${line}\n`).join("") ?? "";
  return `${lines.join("\n")}\n${examples === "" ? "" : `EXAMPLES\n\n${examples}`}`;
}

/** Citty fills up both columns; the color of a label ends behind its blanks. */
function withoutFill(line: string): string {
  const trimmed = line.trimEnd();
  const visible = stripVTControlCharacters(trimmed);
  const blanks = visible.length - visible.trimEnd().length;
  const at = trimmed.lastIndexOf(" ".repeat(blanks));
  return trimmed.slice(0, at) + trimmed.slice(at + blanks);
}

function positionalsOf(command: Command | undefined, columns: number): CittyArgs {
  const named = Object.entries(command?.args ?? {}).flatMap(([name, def]) =>
    def.type === "positional" ? [{ name, description: def.description, required: def.required !== false }] : [],
  );
  const rest = command?.passThrough;
  const shown = rest === undefined ? named : [...named, { name: "-- ARGS…", description: rest, required: false }];
  const { beside } = layoutOf(
    shown.map(({ name }) => name),
    columns,
  );
  return Object.fromEntries(
    shown.map(({ name, description, required }) => [
      name,
      { type: "positional", required, description: beside(description, required ? REQUIRED.length : 0) },
    ]),
  );
}

/** Flags with the hints of their values in their names: what citty appends itself cannot be filled up. */
function flagsOf(flags: readonly (readonly [name: string, def: FlagDef])[], columns: number): CittyArgs {
  const dashes = flags.map(([, { alias }]) => (alias === undefined ? "--" : `-${alias}, --`));
  const labels = flags.map(([name, def], index) => `${dashes[index]}${name}${hintOf(def)}`);
  const { beside, filled } = layoutOf(labels, columns);
  return Object.fromEntries(
    flags.map(([, def], index) => [
      filled(labels[index] ?? "").slice(dashes[index]?.length),
      { type: "boolean", description: beside(textOf(def)), ...(def.alias !== undefined && { alias: def.alias }) },
    ]),
  );
}

const HINTS = { string: "value", int: "number", map: "key=value", list: "value" } as const;

function hintOf(def: FlagDef): string {
  if (def.type === "boolean") return "";
  return `=<${def.type === "choice" ? def.choices.join("|") : (def.valueHint ?? HINTS[def.type])}>`;
}

function textOf(def: FlagDef): string {
  const many = def.type === "map" || def.type === "list" ? " (repeatable)" : "";
  const fallback = "default" in def && def.default !== undefined ? ` (default: ${def.default})` : "";
  return def.description + many + fallback;
}

async function subCommandsOf(branch: Branch, columns: number): Promise<Record<string, CittyCommand>> {
  const shown = Object.entries(branch.commands ?? {}).filter(([, child]) => !child.isHidden);
  const { beside } = layoutOf(
    shown.map(([name, { aliases = [] }]) => [name, ...aliases].join(", ")),
    columns,
  );
  const entries = shown.map(async ([name, child]): Promise<[string, CittyCommand]> => {
    const description = child.description ?? (await child.load?.())?.default.meta.description ?? "";
    return [name, { meta: { name, description: beside(description), alias: [...(child.aliases ?? [])] } }];
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** Where the texts of rows with these labels go, given that citty puts both into columns. */
function layoutOf(labels: readonly string[], columns: number) {
  const width = Math.max(...labels.map((label) => label.length));
  const isBeside = columns - (MARGIN + width + GAP) >= LEAST_COLUMNS;
  const indent = isBeside ? MARGIN + width + GAP : MARGIN + GAP;
  return {
    /** Lines that fit; `reserve` is left free in each. */
    beside: (text: string, reserve = 0): string => {
      const lines = wrap(text, columns - indent - reserve).split("\n");
      return (isBeside ? lines : ["", ...lines]).join(`\n${" ".repeat(indent)}`);
    },
    /** Citty moves shorter labels to the right, which is as it should be only beside a text. */
    filled: (label: string): string => (isBeside ? label : label.padEnd(width)),
  };
}
