import { stripVTControlCharacters } from "node:util";

/**
 * Lines of at most `columns`, broken behind blanks, between alternatives and before values; `indent` begins each line but
 * the first. A word that is longer stays whole. Color codes have no width.
 */
export function wrap(text: string, columns: number, indent = ""): string {
  const lines: string[] = [];
  let current = "";
  for (const word of text.split(/(?<=[^ ] |[|=])/)) {
    if (current.trim() !== "" && widthOf((current + word).trimEnd()) > columns) {
      lines.push(current.trimEnd());
      current = indent;
    }
    current += word;
  }
  return [...lines, current].join("\n");
}

const widthOf = (text: string): number => stripVTControlCharacters(text).length;
