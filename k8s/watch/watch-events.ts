import { CodedError } from "../../model/errors.ts";
import type { Pod } from "../spec/wire.ts";

/** A change of a pod, or a bookmark: a version that the watch has reached without a change. */
export type WatchEvent =
  | { type: "changed" | "deleted"; pod: Pod; resourceVersion: string | undefined }
  | { type: "bookmark"; resourceVersion: string | undefined };

const TYPES: Readonly<Record<string, WatchEvent["type"]>> = {
  ADDED: "changed",
  MODIFIED: "changed",
  DELETED: "deleted",
  BOOKMARK: "bookmark",
};

/**
 * One line of a watch.
 * @throws CodedError Unavailable for an error of the server (a version that has expired, for one) and for any line that cannot be
 * read: everything is then listed again
 */
export function parseEvent(line: string): WatchEvent {
  const { type: name = "", object } = parse(line);
  const type = TYPES[name];
  if (type === undefined || object === undefined) {
    const { message } = (object ?? {}) as { message?: unknown };
    const reason = typeof message === "string" ? message : line.slice(0, 200);
    throw new CodedError("Unavailable", `The watch of pods was ended: ${reason}`);
  }
  const resourceVersion = object.metadata?.resourceVersion;
  return type === "bookmark" ? { type, resourceVersion } : { type, pod: object, resourceVersion };
}

function parse(line: string): { type?: string; object?: Pod } {
  try {
    return Object(JSON.parse(line));
  } catch {
    return {};
  }
}

/** Whether `next` can be shown after `seen`: a list can have been read before changes that a watch has already told. */
export function isOutdated(seen: string | undefined, next: string | undefined): boolean {
  const isNumber = (version: string | undefined): version is string => /^[0-9]{1,18}$/.test(version ?? "");
  return isNumber(seen) && isNumber(next) && BigInt(next) < BigInt(seen);
}

/** The lines of a stream, however it is cut into pieces; one that its end cuts off is left out. */
export async function* linesOf(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let pieces: Buffer[] = [];
  for await (const chunk of body) {
    let at = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, at)) {
      pieces.push(chunk.subarray(at, end));
      yield Buffer.concat(pieces).toString();
      pieces = [];
      at = end + 1;
    }
    if (at < chunk.length) pieces.push(chunk.subarray(at));
  }
}
