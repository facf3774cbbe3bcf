import { stripVTControlCharacters } from "node:util";

/**
 * Breaks a text into lines of at most `columns`: after blanks, between alternatives, and before values. Longer words stay
 * whole, color codes have no width, and every line but the first starts with `indent`.
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
