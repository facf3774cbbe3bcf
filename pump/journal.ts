import { createLineWriter } from "../disk/line-writer.ts";

/** The pump's log: JSON lines on standard output. A full disk or a closed pipe there never stops a transfer. */
export type Journal = (level: "info" | "warn" | "error", message: string, facts?: Record<string, unknown>) => void;

/** A journal whose lines all carry `context`. */
export function openJournal(context: Record<string, unknown>): Journal {
  const textOf = (level: string, msg: string, facts?: Record<string, unknown>): string =>
    `${withoutSecrets(JSON.stringify({ time: new Date().toISOString(), level, ...context, ...facts, msg }))}\n`;
  const output = createLineWriter(1, (lines, reason) =>
    textOf("warn", "lines of this log were lost", { lines, reason }),
  );
  return (level, msg, facts) => output.write(textOf(level, msg, facts));
}

/** `text` without the query of any URL and without signatures. */
export function withoutSecrets(text: string): string {
  return text.replaceAll(/([a-z+]+:\/\/[^\s"'?]+)\?[^\s"']*/gi, "$1").replaceAll(/\bsig=[^\s"'&]*/gi, "sig=…");
}

/** `say`, at most once in 10 s: an outage gets one line, not one per attempt. */
export function sometimes(say: (text: string) => void): (text: string) => void {
  let saidAt = Number.NEGATIVE_INFINITY;
  return (text) => {
    if (performance.now() - saidAt < 10_000) return;
    saidAt = performance.now();
    say(text);
  };
}
