import { randomUUID } from "node:crypto";
import { END_BLOB, END_COMPLETE, END_FAILED, md5Of, START_BLOB, START_CONTENT } from "./buffer-format.ts";
import type { Blobs } from "./blobs.ts";

/** The one access to a buffer that its marks need, so that the server can write them, too. */
type Marks = Pick<Blobs, "put">;

export type EndStatus = "complete" | "failed";

/** A token that no other writer has. Writers of one buffer are told apart by it: their starts have the same content. */
export const newWriterToken = (): string => randomUUID();

/**
 * Begins the buffer, which makes it the writer's: later writers are refused. False when another writer has begun it;
 * true again for a writer that repeats it.
 */
export function claimBuffer(blobs: Marks, writer: string): Promise<boolean> {
  const start = Buffer.from(START_CONTENT);
  return blobs.put(START_BLOB, start, { md5: md5Of(start), writer });
}

/** Writes the end mark of a buffer that is the writer's. False when it has another one, or that of another writer. */
export function putEndMark(blobs: Marks, writer: string, status: EndStatus): Promise<boolean> {
  const end = Buffer.from(status === "complete" ? END_COMPLETE : END_FAILED);
  return blobs.put(END_BLOB, end, { md5: md5Of(end), writer });
}

/**
 * Ends a buffer that is the writer's or that no writer has begun. A buffer of another writer is left alone: that one
 * ends it, and its data would be lost with our mark. False when the buffer has not got this end.
 */
export const endAsOwner = async (blobs: Marks, writer: string, status: EndStatus): Promise<boolean> =>
  (await claimBuffer(blobs, writer)) && putEndMark(blobs, writer, status);
