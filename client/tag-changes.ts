import { doubling, retry } from "../waiting/retry.ts";
import { ETagMismatchError, ServerError } from "./errors.ts";

/** Changes to the tags of a run or a buffer. */
export interface TagChanges {
  /** Added to the tags that are there, over those of the same key. */
  tags?: Readonly<Record<string, string>> | undefined;
  /** Removes all other tags. */
  clearTags?: boolean | undefined;
  /** Only while this is the eTag. */
  eTag?: string | undefined;
}

interface Tagged {
  eTag: string;
  tags?: Readonly<Record<string, string>>;
}

/** A resource whose tags can only be replaced as a whole. */
interface TaggedResource<T extends Tagged> {
  read(): Promise<T>;
  write(tags: Record<string, string>, ifMatch: string | undefined): Promise<T>;
}

/** A run that changes between each reading and writing as often as this is not likely. */
const TRIES = 20;
const PAUSES = doubling(10, 500);

/**
 * Changes tags and loses none that others set meanwhile: they are written at the eTag at which they were read, and read
 * again where that has changed.
 * @throws ETagMismatchError when `eTag` is not that of the server
 */
export async function changeTags<T extends Tagged>(
  { tags = {}, clearTags = false, eTag }: TagChanges,
  resource: TaggedResource<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const isStale = (err: unknown): boolean => err instanceof ServerError && err.status === 412;
  const change = async (): Promise<T> => {
    const before = clearTags ? undefined : await resource.read();
    if (before && eTag !== undefined && eTag !== before.eTag) throw new ETagMismatchError();
    return resource.write({ ...before?.tags, ...tags }, eTag ?? before?.eTag);
  };
  try {
    return await retry(change, { pauses: PAUSES, tries: eTag === undefined ? TRIES : 1, passes: isStale, signal });
  } catch (err) {
    throw eTag !== undefined && isStale(err) ? new ETagMismatchError({ cause: err }) : err;
  }
}
