/** A part of a list that is never held as a whole. */
export interface ObjectPage {
  /** In their order, with the prefix: a key, or the start that several keys share up to the next slash, which ends it. */
  entries: string[];
  /** Absent when the list ends here. */
  next?: string;
}

/**
 * Keeps objects of any size under keys with slashes, in one location: a folder or a bucket, so nothing here is renamed, appended
 * to or locked. An object is visible only whole, and is written once; one that is there is seen at once by every process.
 * @throws CodedError Unavailable from each call while the location is away: an object that cannot be asked for is not a missing one
 */
export interface ObjectStore {
  /** Stores `body` in bounded memory. The first whole object stays: if there is one, `body` is not read, or comes to nothing. */
  put(key: string, body: AsyncIterable<Uint8Array>): Promise<void>;
  /** Undefined when there is none. */
  head(key: string): Promise<{ sizeBytes: number } | undefined>;
  /**
   * The bytes from `from` on, before `to`, in pieces of bounded size; each is the caller's to keep.
   * @throws Error when the object ends before `to`
   */
  get(key: string, range: { from: number; to: number }): AsyncIterable<Uint8Array>;
  /**
   * At most `limit` entries below a prefix that is empty or ends with a slash; `after` is the `next` of the page before. A
   * page can be shorter although more follow.
   */
  list(prefix: string, page: { limit: number; after?: string | undefined }): Promise<ObjectPage>;
  /** Removes an object; one that is not there is harmless. A reader in the middle of it can fail. */
  remove(key: string): Promise<void>;
}
