import type { FlagDef } from "./command.ts";
import { splitCsv } from "./csv.ts";

/** Converts one occurrence of a flag; maps and lists add to the earlier ones. @throws Error with the reason only */
export function valueFrom(def: FlagDef, text: string, before: unknown): unknown {
  switch (def.type) {
    case "string":
      return def.parse ? def.parse(text) : text;
    case "choice":
      return choiceOf(def.choices, text);
    case "int":
      return wholeNumber(text);
    case "boolean":
      return truth(text);
    case "list":
      return [...(Array.isArray(before) ? (before as string[]) : []), ...itemsOf(text, def.choices)];
    case "map":
      return { ...(before as Record<string, string> | undefined), ...pairsOf(text, def.separator === "always") };
  }
}

/** Keeps the items as typed: the server ignores case. */
function itemsOf(text: string, choices: readonly string[] | undefined): string[] {
  const items = text === "" ? [] : splitCsv(text);
  const known = choices?.map((choice) => choice.toLowerCase());
  const unknown = items.find((item) => known && !known.includes(item.toLowerCase()));
  if (unknown !== undefined) throw new Error(`'${unknown}' is not one of ${choices?.join(", ")}`);
  return items;
}

function choiceOf(choices: readonly string[], text: string): string {
  const choice = choices.find((candidate) => candidate === text.toLowerCase());
  if (choice === undefined) throw new Error(`it must be one of ${choices.join(", ")}`);
  return choice;
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!/^[+-]?[0-9]+$/.test(text) || !Number.isSafeInteger(number)) throw new Error("it must be a whole number");
  return number;
}

function truth(text: string): boolean {
  if (/^(?:1|t|true)$/i.test(text)) return true;
  if (/^(?:0|f|false)$/i.test(text)) return false;
  throw new Error("it must be true or false");
}

/** A text with exactly one `=` is one pair, including its commas; with more it is a list of pairs. */
function pairsOf(text: string, alwaysSplit: boolean): Record<string, string> {
  const isOne = text.split("=").length === 2 && !alwaysSplit;
  const pairs = (isOne ? [text] : splitCsv(text)).map((part): [string, string] => {
    const equals = part.indexOf("=");
    if (equals < 0) throw new Error(`'${part}' is not in the form key=value`);
    return [part.slice(0, equals), part.slice(equals + 1)];
  });
  return Object.fromEntries(pairs);
}
