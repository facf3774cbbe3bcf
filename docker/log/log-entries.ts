import { logInstant } from "../../model/time/instant.ts";
import { ZERO_INSTANT } from "../../model/ports/log.ts";

/** One write to a container's log as the engine kept it: a line, or a piece of at most 16 KiB of a longer one. */
export interface LogEntry {
  /** 1 output, 2 error. */
  stream: number;
  /** With nine digits; the pieces of one line may share it. */
  at: string;
  /** With the line feed unless more of the line follows, or its writer never wrote one. */
  text: Buffer;
}

const HEADER_BYTES = 8;
const INSTANT_LENGTH = ZERO_INSTANT.length;

/** The stream on which the engine says why it cannot read the log any further, as for a container that is being removed. */
const ENGINE_STREAM = 3;

/** The engine could not read the rest of a log. The message is its own. */
export class UnreadableLogError extends Error {}

/**
 * The entries of a log stream, a batch for each chunk that arrived. Reads only on demand, and accepts any number of
 * frames in a chunk.
 * @throws Error when the stream ends within a frame: it was cut off; UnreadableLogError
 * @see https://docs.docker.com/reference/api/engine/ "Stream format" of attach
 */
export async function* readEntries(body: AsyncIterable<Buffer>): AsyncGenerator<LogEntry[]> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of body) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const entries: LogEntry[] = [];
    let unreadable: string | undefined;
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + bytes.readUInt32BE(at + 4);
      if (end > bytes.length) break;
      const [stream = 0] = bytes.subarray(at, at + 1);
      const frame = bytes.subarray(at + HEADER_BYTES, end);
      if (stream === ENGINE_STREAM) {
        unreadable = frame.toString().trim();
        break;
      }
      entries.push(entryOf(stream, frame));
      at = end;
    }
    rest = bytes.subarray(at);
    if (entries.length > 0) yield entries;
    if (unreadable !== undefined) throw new UnreadableLogError(unreadable);
  }
  if (rest.length > 0) throw new Error("it ended in the middle of an entry");
}

function entryOf(stream: number, frame: Buffer): LogEntry {
  // The format that engines write; any other is parsed the slow way.
  if (frame[INSTANT_LENGTH] === 0x20 && frame[INSTANT_LENGTH - 1] === 0x5a && frame[19] === 0x2e) {
    return { stream, at: frame.toString("latin1", 0, INSTANT_LENGTH), text: frame.subarray(INSTANT_LENGTH + 1) };
  }
  const space = frame.indexOf(0x20);
  try {
    return { stream, at: logInstant(frame.toString("latin1", 0, Math.max(space, 0))), text: frame.subarray(space + 1) };
  } catch {
    return { stream, at: ZERO_INSTANT, text: frame };
  }
}
