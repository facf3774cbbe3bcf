/** A column of a table for people. */
export interface Column<T> {
  title: string;
  /** Only where there is room for everything. */
  isWide?: true;
  textOf(item: T): string;
}

const GAP = "   ";
const NOTHING = "-";
/** Longer texts would push the rest out of sight. */
const LONGEST = 60;

/** Prints rows below one line of titles; later calls go on with the widths of the first one. */
export function table<T>(columns: readonly Column<T>[]): (items: readonly T[]) => string {
  let widths: number[] | undefined;
  return (items) => {
    const rows = items.map((item) => columns.map((column) => cellOf(column.textOf(item))));
    const shown = widths ? rows : [columns.map(({ title }) => title), ...rows];
    widths ??= columns.map((_, at) => Math.max(...shown.map((row) => row[at]?.length ?? 0)));
    const lineOf = (row: string[]): string => row.map((cell, at) => cell.padEnd(widths?.[at] ?? 0)).join(GAP);
    return shown.map((row) => `${lineOf(row).trimEnd()}\n`).join("");
  };
}

/** One line of it, so that a row stays a row. */
function cellOf(text: string): string {
  // oxlint-disable-next-line no-control-regex -- what a job's name or reason holds must not move the cursor
  const line = text.replace(/[\u0000-\u001F\u007F-\u009F]+/g, " ").trim();
  if (line === "") return NOTHING;
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line;
}

const UNITS: readonly [name: string, seconds: number][] = [
  ["d", 86_400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
];

/** The time from an instant until `untilMs` in its two largest units: `3d4h`, `5m`, `0s`. */
export function ageOf(instant: string, untilMs: number): string {
  let seconds = Math.max(0, Math.floor((untilMs - Date.parse(instant)) / 1000));
  const parts: string[] = [];
  for (const [name, size] of UNITS) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count > 0) parts.push(`${count}${name}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.length === 0 ? "0s" : parts.join("");
}
