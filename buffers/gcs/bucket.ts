/** An object as its bucket describes it. */
export interface BucketObject {
  name: string;
  sizeBytes: number;
  /** Base64. */
  contentMd5: string;
  metadata: Record<string, string>;
  /** Another one for each object that ever had the name. */
  generation: string;
}

/** A part of a list, in the order of names. */
export interface BucketPage {
  names: string[];
  /** With a delimiter: the starts that several names share, each with the delimiter at its end. */
  prefixes: string[];
  /** Absent when the list ends here. */
  next?: string;
}

export interface ListQuery {
  prefix: string;
  delimiter?: string;
  limit: number;
  /** The `next` of the page before. */
  after?: string | undefined;
}

/** The settings of a bucket that decide what we can do with it. */
export interface BucketSettings {
  /** Region or regions. */
  location: string;
  isUniformAccess: boolean;
  /** How long removed objects are kept, and paid for; 0 when they are not. */
  softDeleteSeconds: number;
  isVersioned: boolean;
  /** How long an object cannot be removed; 0 without such a policy. */
  retentionSeconds: number;
}

export interface UploadFacts {
  /** Base64. Content with another MD5 is not stored. */
  contentMd5?: string | undefined;
  metadata: Record<string, string>;
}

/**
 * The calls to a bucket that we use, and all that we rely on: whole objects under flat names, a precondition on each upload,
 * and every call is seen by the next one. Any client of Google Cloud Storage can be put behind it.
 * @throws CodedError Unavailable from each call when the bucket cannot be asked: that is never taken for a missing object
 */
export interface Bucket {
  /**
   * Stores an object under a name that has none, by one request; undefined when there is one already. Of all that race for a
   * name one gets its object. Bytes are sent again after a failure; a stream cannot be.
   * @throws CodedError Md5Mismatch, with nothing stored; errors of a stream
   */
  create(
    name: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    facts: UploadFacts,
  ): Promise<BucketObject | undefined>;
  find(name: string): Promise<BucketObject | undefined>;
  /**
   * The bytes from `from` on, before `to`: of that generation, if one is given. Continues after a connection that broke off.
   * @throws Error when there is no such object, or it ends before `to`
   */
  read(name: string, range: { from: number; to: number; generation?: string }): AsyncGenerator<Uint8Array, void>;
  list(query: ListQuery): Promise<BucketPage>;
  /** Removes the object if there is one. */
  remove(name: string): Promise<void>;
  settings(): Promise<BucketSettings>;
}
