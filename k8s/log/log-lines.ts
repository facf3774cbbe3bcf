import { ZERO_INSTANT, type LogLine, type LogLines } from "../../model/ports/log.ts";
import { logInstant } from "../../model/time/instant.ts";

const LINE_FEED = 0x0a;
const SPACE = 0x20;
/** The longest instant with a zone: `2026-01-01T00:00:00.000000000+00:00`. */
const INSTANT_LENGTH = 35;

/** The lines of a log with timestamps, a batch for each piece that arrives; a last line without a line feed is one, too. */
export async function* logLinesOf(body: AsyncIterable<Buffer>): AsyncGenerator<LogLine[]> {
  let pieces: Buffer[] = [];
  for await (const chunk of body) {
    const lines: LogLine[] = [];
    let at = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, at)) {
      const rest = chunk.subarray(at, end + 1);
      lines.push(lineOf(pieces.length === 0 ? rest : Buffer.concat([...pieces, rest])));
      pieces = [];
      at = end + 1;
    }
    if (at < chunk.length) pieces.push(chunk.subarray(at));
    if (lines.length > 0) yield lines;
  }
  if (pieces.length > 0) yield [lineOf(Buffer.concat(pieces))];
}

/** A last line to which more can be added. */
export const isUnfinished = ({ bytes }: LogLine): boolean => bytes.at(-1) !== LINE_FEED;

/** Lines with a text before each. */
export async function* prefixed(prefix: string, lines: LogLines): LogLines {
  if (prefix === "") return yield* lines;
  const before = Buffer.from(prefix);
  for await (const batch of lines) {
    yield batch.map(({ at, bytes }) => ({ at, bytes: Buffer.concat([before, bytes]) }));
  }
}

function lineOf(bytes: Buffer): LogLine {
  const space = bytes.subarray(0, INSTANT_LENGTH + 1).indexOf(SPACE);
  const at = space < 0 ? undefined : instantOf(bytes.toString("latin1", 0, space));
  // Texts of the node itself, such as that it has no log any more, have no instant.
  const text = at === undefined ? bytes : bytes.subarray(space + 1);
  return { at: at ?? ZERO_INSTANT, bytes: text };
}

function instantOf(text: string): string | undefined {
  // The usual form, which most nodes write, needs no arithmetic.
  if (text.length === ZERO_INSTANT.length && text.endsWith("Z") && text[19] === ".") return text;
  try {
    return logInstant(text);
  } catch {
    return undefined;
  }
}
