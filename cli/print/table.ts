/** A column of a table for people. */
export interface Column<T> {
  title: string;
  /** Shown only in wide tables. */
  isWide?: true;
  /** Shortened first if the terminal is narrow. */
  isElastic?: true;
  textOf(item: T): string;
}

/** Gaps between columns; the first one that lets the rows fit is used. */
const GAPS = ["   ", "  ", " "] as const;
/** The minimum width of an elastic column, so that its values can still be told apart. */
const LEAST = 8;
const NOTHING = "-";
/** The maximum width of a cell, so that the other columns stay in sight. */
const LONGEST = 60;

/**
 * Prints rows below one line of titles; later calls keep the widths of the first one. `room` is the width of a
 * terminal, to which the rows are shortened as far as they stay readable.
 */
export function table<T>(columns: readonly Column<T>[], room = Infinity): (items: readonly T[]) => string {
  let layout: Layout | undefined;
  return (items) => {
    const rows = items.map((item) => columns.map((column) => cellOf(column.textOf(item))));
    const shown = layout ? rows : [columns.map(({ title }) => title), ...rows];
    const { widths, gap } = (layout ??= layoutOf(columns, shown, room));
    const cell = (text: string, at: number): string => {
      const width = widths[at] ?? 0;
      return (columns[at]?.isElastic && room < Infinity ? cut(text, width) : text).padEnd(width);
    };
    return shown.map((row) => `${row.map(cell).join(gap).trimEnd()}\n`).join("");
  };
}

interface Layout {
  widths: number[];
  gap: string;
}

function layoutOf(columns: readonly { isElastic?: true }[], rows: readonly string[][], room: number): Layout {
  const widths = columns.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  let narrowest: Layout = { widths, gap: GAPS[0] };
  for (const gap of GAPS) {
    narrowest = { widths: [...widths], gap };
    let over = widths.reduce((sum, width) => sum + width + gap.length, -gap.length) - room;
    columns.forEach(({ isElastic }, at) => {
      const width = widths[at] ?? 0;
      const less = isElastic ? Math.max(0, Math.min(over, width - LEAST)) : 0;
      narrowest.widths[at] = width - less;
      over -= less;
    });
    if (over <= 0) break;
  }
  return narrowest;
}

/** Text on one line, so that a row stays a row. */
function cellOf(text: string): string {
  // oxlint-disable-next-line no-control-regex -- text from a job must not move the cursor
  const line = text.replace(/[\u0000-\u001F\u007F-\u009F]+/g, " ").trim();
  if (line === "") return NOTHING;
  return cut(line, LONGEST);
}

/** At most `most` characters, with a mark at the end if text was cut. */
function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const characters = Array.from(text);
  return characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : text;
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
