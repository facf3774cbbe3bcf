import { ZERO_INSTANT, type LogLine } from "../model/ports/log.ts";

/** The length of every instant in a log. */
const INSTANT_LENGTH = ZERO_INSTANT.length;
const SPACE = 0x20;

/** A line as it is archived: its instant, one space, its bytes. */
export const encodeLine = ({ at, bytes }: LogLine): Buffer => Buffer.concat([Buffer.from(`${at} `, "latin1"), bytes]);

/**
 * The line that {@link encodeLine} made.
 * @throws Error when it is not one
 */
export function decodeLine(bytes: Buffer): LogLine {
  if (bytes[INSTANT_LENGTH] !== SPACE) throw new Error("The archived log has a line without its instant");
  return { at: bytes.toString("latin1", 0, INSTANT_LENGTH), bytes: bytes.subarray(INSTANT_LENGTH + 1) };
}

/** The line with a line feed at its end: only the very last line of a log can be without one. */
export function withLineFeed(line: LogLine): LogLine {
  if (line.bytes.at(-1) === 0x0a) return line;
  return { at: line.at, bytes: Buffer.concat([line.bytes, Buffer.from("\n")]) };
}
