import { createHash } from "node:crypto";
import type { Bucket, BucketObject, BucketPage } from "../../buffers/gcs/bucket.ts";
import { CodedError } from "../../model/errors.ts";

const MOST_NAMES = 1000;
const READ_BYTES = 64 * 1024;

/**
 * A bucket of an object store in memory, with what these guarantee and nothing more: flat names, whole objects with a
 * generation, pages in the order of names, and every call is seen by the next one. There are no folders, there is no
 * renaming, and nothing notifies.
 */
export class FakeBucket implements Bucket {
  readonly #objects = new Map<string, BucketObject & { bytes: Buffer }>();
  #generation = 0;
  /** The longest list that was answered. */
  longestPage = 0;
  /** Calls by their names. */
  readonly calls: Record<string, number> = {};

  async create(...[name, content, { contentMd5, metadata }]: Parameters<Bucket["create"]>) {
    const pieces: Uint8Array[] = [];
    if (content instanceof Uint8Array) pieces.push(Buffer.from(content));
    else for await (const piece of content) pieces.push(Buffer.from(piece));
    await this.#network("create");
    const bytes = Buffer.concat(pieces);
    const actual = createHash("md5").update(bytes).digest("base64");
    if (contentMd5 !== undefined && contentMd5 !== actual) throw new CodedError("Md5Mismatch", "MD5 mismatch");
    if (this.#objects.has(name)) return undefined;
    const facts = { name, sizeBytes: bytes.length, contentMd5: actual, metadata: { ...metadata } };
    const object = { ...facts, generation: String((this.#generation += 1)) };
    this.#objects.set(name, { ...object, bytes });
    return object;
  }

  async find(name: string): Promise<BucketObject | undefined> {
    await this.#network("find");
    const found = this.#objects.get(name);
    if (!found) return undefined;
    const { bytes: _, ...object } = found;
    return object;
  }

  async *read(name: string, { from, to }: { from: number; to: number }): AsyncGenerator<Uint8Array, void> {
    await this.#network("read");
    const object = this.#objects.get(name);
    if (!object) throw new Error(`There is no object '${name}'`);
    for (let at = from; at < to;) {
      const piece = Buffer.from(object.bytes.subarray(at, Math.min(to, at + READ_BYTES)));
      if (piece.length === 0) throw new Error("The object is shorter than it was");
      yield piece;
      at += piece.length;
    }
  }

  /** With a delimiter, names that have it after the prefix are answered as common prefixes, each once. */
  async list({ prefix, delimiter, limit, after }: Parameters<Bucket["list"]>[0]): Promise<BucketPage> {
    await this.#network("list");
    const names = [...this.#objects.keys()].filter((name) => name.startsWith(prefix)).sort();
    const entries = new Set(names.map((name) => entryOf(name, prefix, delimiter)));
    const last = after === undefined ? "" : Buffer.from(after, "base64url").toString();
    const left = [...entries].filter((entry) => entry > last);
    const page = left.slice(0, Math.min(limit, MOST_NAMES));
    this.longestPage = Math.max(this.longestPage, page.length);
    return {
      names: page.filter((entry) => this.#objects.has(entry)),
      prefixes: page.filter((entry) => !this.#objects.has(entry)),
      ...(page.length < left.length && { next: Buffer.from(page.at(-1) ?? "").toString("base64url") }),
    };
  }

  async remove(name: string): Promise<void> {
    await this.#network("remove");
    this.#objects.delete(name);
  }

  async settings() {
    await this.#network("settings");
    return { location: "EU", isUniformAccess: true, softDeleteSeconds: 0, isVersioned: false, retentionSeconds: 0 };
  }

  /** Shortens a stored object, which no request can do. */
  damage(name: string): void {
    const object = this.#objects.get(name);
    if (!object) throw new Error(`There is no object '${name}'`);
    object.bytes = object.bytes.subarray(0, -1);
    object.sizeBytes = object.bytes.length;
  }

  /** Other requests are answered meanwhile. */
  async #network(call: string): Promise<void> {
    this.calls[call] = (this.calls[call] ?? 0) + 1;
    await new Promise(setImmediate);
  }
}

function entryOf(name: string, prefix: string, delimiter: string | undefined): string {
  const end = delimiter === undefined ? -1 : name.indexOf(delimiter, prefix.length);
  return end < 0 ? name : name.slice(0, end + 1);
}
