import { stripVTControlCharacters } from "node:util";

/** A name and what is said of it, as citty puts them beside each other. */
const ROW = /^ *(?<name>\S.*?) {4}(?<about>\S.*)$/;
const GAP = 4;
/** Narrower columns of text are hard to read: then it goes below its name. */
const LEAST_COLUMNS = 24;

/** Breaks the lines of a help text where a terminal of this width would break them anywhere. */
export const fitUsage = (text: string, columns: number): string =>
  text
    .split("\n")
    .map((line) => fitLine(line, columns))
    .join("\n");

function fitLine(line: string, columns: number): string {
  const { name, about } = ROW.exec(line)?.groups ?? {};
  if (name === undefined || about === undefined) return broken(line, columns, 2);
  // The same for all rows of a section, which therefore look alike.
  const indent = widthOf(line) - widthOf(about);
  if (columns - indent >= LEAST_COLUMNS) return broken(line, columns, indent);
  return `${broken(`  ${name}`, columns, GAP)}\n${broken(" ".repeat(2 + GAP) + about, columns, 2 + GAP)}`;
}

/** Breaks a line behind blanks, between alternatives and before values; the lines after the first are indented. */
function broken(line: string, columns: number, indent: number): string {
  const lines: string[] = [];
  let current = "";
  for (const word of line.split(/(?<=[^ ] |[|=])/)) {
    if (current.trim() !== "" && widthOf((current + word).trimEnd()) > columns) {
      lines.push(current.trimEnd());
      current = " ".repeat(indent);
    }
    current += word;
  }
  return [...lines, current].join("\n");
}

const widthOf = (text: string): number => stripVTControlCharacters(text).length;
