import { createHash } from "node:crypto";

/** An object as a bucket describes it. */
export interface BucketObject {
  name: string;
  size: number;
  /** Base64. */
  md5Hash: string;
  metadata: Record<string, string>;
  generation: number;
}

export interface BucketPage {
  items: BucketObject[];
  prefixes: string[];
  nextPageToken?: string;
}

/** The refusal of a bucket, by its HTTP status: 400, 404, 412. */
export class BucketRefusal extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`the bucket answers ${status}`);
    this.status = status;
  }
}

const MOST_ITEMS = 1000;

/**
 * A bucket of an object store in memory, with what these guarantee and nothing more: flat names, whole objects with a
 * generation, preconditions, pages in the order of names, and every call is seen by the next one. There are no folders, there is no
 * renaming, and nothing notifies.
 */
export class FakeBucket {
  readonly #objects = new Map<string, BucketObject & { bytes: Buffer }>();
  #generation = 0;
  /** The longest list that was answered. */
  longestPage = 0;

  /** One request with the whole content; `ifGenerationMatch: 0` demands that there is no such object. */
  async upload(
    name: string,
    content: Uint8Array,
    { ifGenerationMatch, md5Hash, metadata = {} }: Partial<BucketObject> & { ifGenerationMatch?: number } = {},
  ): Promise<BucketObject> {
    const bytes = Buffer.from(content);
    await network();
    const actual = createHash("md5").update(bytes).digest("base64");
    if (md5Hash !== undefined && md5Hash !== actual) throw new BucketRefusal(400);
    const there = this.#objects.get(name)?.generation ?? 0;
    if (ifGenerationMatch !== undefined && ifGenerationMatch !== there) throw new BucketRefusal(412);
    const facts = { name, size: bytes.length, md5Hash: actual, metadata: { ...metadata } };
    const object = { ...facts, generation: (this.#generation += 1), bytes };
    this.#objects.set(name, object);
    return object;
  }

  async stat(name: string): Promise<BucketObject> {
    await network();
    return this.#find(name);
  }

  /** The bytes from `start` on, before `end`. */
  async download(name: string, { start = 0, end }: { start?: number; end?: number } = {}): Promise<Buffer> {
    await network();
    return Buffer.from(this.#find(name).bytes.subarray(start, end));
  }

  /** With a delimiter, names that have it after the prefix are answered as common prefixes, each once. */
  async list({
    prefix = "",
    delimiter,
    maxResults = MOST_ITEMS,
    pageToken,
  }: {
    prefix?: string;
    delimiter?: string;
    maxResults?: number;
    pageToken?: string | undefined;
  }): Promise<BucketPage> {
    await network();
    const names = [...this.#objects.keys()].filter((name) => name.startsWith(prefix)).sort();
    const entries = new Set(names.map((name) => entryOf(name, prefix, delimiter)));
    const after = pageToken === undefined ? "" : Buffer.from(pageToken, "base64url").toString();
    const left = [...entries].filter((entry) => entry > after);
    const page = left.slice(0, Math.min(maxResults, MOST_ITEMS));
    this.longestPage = Math.max(this.longestPage, page.length);
    return {
      items: page.flatMap((entry) => this.#objects.get(entry) ?? []),
      prefixes: page.filter((entry) => !this.#objects.has(entry)),
      ...(page.length < left.length && { nextPageToken: Buffer.from(page.at(-1) ?? "").toString("base64url") }),
    };
  }

  async remove(name: string): Promise<void> {
    await network();
    if (!this.#objects.delete(name)) throw new BucketRefusal(404);
  }

  /** Shortens a stored object, which no request can do. */
  damage(name: string): void {
    const object = this.#find(name);
    object.bytes = object.bytes.subarray(0, -1);
    object.size = object.bytes.length;
  }

  #find(name: string): BucketObject & { bytes: Buffer } {
    const object = this.#objects.get(name);
    if (!object) throw new BucketRefusal(404);
    return object;
  }
}

function entryOf(name: string, prefix: string, delimiter: string | undefined): string {
  const end = delimiter === undefined ? -1 : name.indexOf(delimiter, prefix.length);
  return end < 0 ? name : name.slice(0, end + 1);
}

/** Other requests are answered meanwhile. */
const network = (): Promise<void> => new Promise(setImmediate);
