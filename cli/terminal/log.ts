const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFormat = "pretty" | "plain" | "json";
/** The data of a line besides its message; undefined fields are left out. */
export type LogFields = Readonly<Record<string, unknown>>;

export type Log = Record<LogLevel, (message: string, fields?: LogFields) => void> & {
  isEnabled(level: LogLevel): boolean;
};

interface Line {
  at: Date;
  level: LogLevel;
  message: string;
  fields: LogFields;
}

const SHORT = { trace: "TRC", debug: "DBG", info: "INF", warn: "WRN", error: "ERR", fatal: "FTL" } as const;
const COLOR = { trace: 35, debug: 33, info: 32, warn: 33, error: 31, fatal: 31 } as const;

/** Many connections that break at once give one warning; a server that stays away gives one at this interval. */
const REPEAT_MS = 5000;

/** A log of the lines at `level` and above; a repeated warning is written once per interval. */
export function createLog(options: { level: LogLevel; format: LogFormat; write: (text: string) => void }): Log {
  const least = LOG_LEVELS.indexOf(options.level);
  const isEnabled = (level: LogLevel): boolean => LOG_LEVELS.indexOf(level) >= least;
  const format = FORMATS[options.format];
  const warned = new Map<string, number>();
  const isRepeated = (message: string, fields: LogFields): boolean => {
    const key = JSON.stringify([message, sorted(fields)]);
    const before = warned.get(key) ?? -Infinity;
    const now = performance.now();
    if (now - before < REPEAT_MS) return true;
    warned.set(key, now);
    return false;
  };
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (!isEnabled(level) || (level === "warn" && isRepeated(message, fields))) return;
      options.write(`${format({ at: new Date(), level, message, fields })}\n`);
    };
  return {
    trace: at("trace"),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    fatal: at("fatal"),
    isEnabled,
  };
}

/** Formats a line without its line feed. */
export const FORMATS: Record<LogFormat, (line: Line) => string> = {
  plain: ({ at, level, message, fields }) =>
    [localTime(at), SHORT[level], message, ...sorted(fields).map(([key, value]) => `${key}=${inWords(value)}`)].join(
      " ",
    ),
  pretty: ({ at, level, message, fields }) =>
    [
      paint(90, localTime(at)),
      paint(COLOR[level], SHORT[level]),
      paint(1, message),
      ...sorted(fields).map(([key, value]) => paint(36, `${key}=`) + paint(key === "error" ? 31 : 39, inWords(value))),
    ].join(" "),
  json: ({ at, level, message, fields }) =>
    JSON.stringify({ level, ...Object.fromEntries(sorted(fields)), time: at.toISOString(), message }),
};

const paint = (color: number, text: string): string => `\u001B[${color}m${text}\u001B[0m`;

/** `error` first, the others by name. */
function sorted(fields: LogFields): [string, unknown][] {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]): [string, unknown] => [key, value instanceof Error ? value.message : value])
    .sort(([a], [b]) => (a === "error" ? -1 : b === "error" ? 1 : a < b ? -1 : 1));
}

/** Quotes a value unless it is a single plain word. */
function inWords(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /^[^\s"=\\\p{C}]+$/u.test(text) ? text : JSON.stringify(text);
}

/** Local time with milliseconds and zone. */
function localTime(at: Date): string {
  const east = -at.getTimezoneOffset();
  const local = new Date(at.getTime() + east * 60_000).toISOString().slice(0, -1);
  if (east === 0) return `${local}Z`;
  const pad = (value: number): string => String(value).padStart(2, "0");
  return `${local}${east < 0 ? "-" : "+"}${pad(Math.trunc(Math.abs(east) / 60))}:${pad(Math.abs(east) % 60)}`;
}
