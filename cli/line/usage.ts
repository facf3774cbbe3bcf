import { stripVTControlCharacters } from "node:util";
import { type ArgsDef as CittyArgs, type CommandDef as CittyCommand, renderUsage } from "citty";
import type { Branch } from "./branch.ts";
import type { Command, FlagDef } from "./command.ts";
import { flagsOf } from "./words.ts";
import { wrap } from "./wrap.ts";

/** Blanks that citty puts before a label, and between it and its text. */
const MARGIN = 2;
const GAP = 4;
/** A narrower column is hard to read, so the text goes below its label. */
const LEAST_COLUMNS = 24;
/** citty appends it to the text of a positional argument. */
const REQUIRED = " (Required)";

/** Renders help with citty, broken to the width of the terminal, which citty does not know. */
export async function usageOf(
  path: readonly string[],
  branch: Branch,
  { hasColors, columns = Infinity }: { hasColors: boolean; columns: number | undefined },
): Promise<string> {
  const command = (await branch.load?.())?.default;
  const parents = ["tyger", ...path.slice(0, -1)].join(" ");
  const shown: CittyCommand = {
    meta: {
      name: path.at(-1) ?? "tyger",
      description: command?.meta.description ?? branch.description ?? "",
    },
    args: {
      ...positionalRows(command, columns),
      ...flagRows(
        [...flagsOf({ path, command })].filter(([, { hidden }]) => !hidden),
        columns,
      ),
    },
    subCommands: await commandRows(branch, columns),
  };
  const usage = await renderUsage(shown, path.length > 0 ? { meta: { name: parents } } : undefined);
  const lines = (hasColors ? usage : stripVTControlCharacters(usage)).split("\n").map((line) => {
    const trimmed = withoutFill(line);
    return wrap(trimmed, columns, " ".repeat(trimmed.search(/[^ ]|$/) + MARGIN));
  });
  const examples = command?.examples.map((line) => `  ${line}\n`).join("") ?? "";
  return `${lines.join("\n").trimEnd()}\n${examples === "" ? "" : `\nEXAMPLES\n\n${examples}`}`;
}

/** Removes the blanks with which citty fills up its columns; the color of a label ends after them. */
function withoutFill(line: string): string {
  const trimmed = line.trimEnd();
  const visible = stripVTControlCharacters(trimmed);
  const blanks = visible.length - visible.trimEnd().length;
  const at = trimmed.lastIndexOf(" ".repeat(blanks));
  return trimmed.slice(0, at) + trimmed.slice(at + blanks);
}

function positionalRows(command: Command | undefined, columns: number): CittyArgs {
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

/** Puts the hints into the names: a label that ends with citty's own hint cannot be padded. */
function flagRows(flags: readonly (readonly [name: string, def: FlagDef])[], columns: number): CittyArgs {
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

async function commandRows(branch: Branch, columns: number): Promise<Record<string, CittyCommand>> {
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

/** Decides whether texts go beside labels or below them, given that citty puts both into columns. */
function layoutOf(labels: readonly string[], columns: number) {
  const width = Math.max(...labels.map((label) => label.length));
  const isBeside = columns - (MARGIN + width + GAP) >= LEAST_COLUMNS;
  const indent = isBeside ? MARGIN + width + GAP : MARGIN + GAP;
  return {
    /** Breaks a text into lines that fit, with `reserve` columns left free. */
    beside: (text: string, reserve = 0): string => {
      const lines = wrap(text, columns - indent - reserve).split("\n");
      return (isBeside ? lines : ["", ...lines]).join(`\n${" ".repeat(indent)}`);
    },
    /** citty aligns labels to the right, which looks wrong above a text: padding keeps them on the left. */
    filled: (label: string): string => (isBeside ? label : label.padEnd(width)),
  };
}
