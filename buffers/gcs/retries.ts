import { randomBytes } from "node:crypto";
import { CodedError } from "../../model/errors.ts";
import { doubling, retry, type RetryOptions } from "../../waiting/retry.ts";
import type { Bucket, BucketObject, UploadFacts } from "./bucket.ts";
import { asUnavailable, isPassing, Refusal } from "./failures.ts";
import type { BucketRequests } from "./json-api.ts";

/**
 * Says by which upload an object was made: when the answer is lost, another attempt finds the object of the first. Its bytes
 * would not show that, because another writer can have the same. No header of a client can have this name.
 */
const UPLOAD = "tyger:upload";
/** Google's limit of all names and values. */
const MAX_METADATA_BYTES = 8 * 1024;
/** A bucket that answered so lately exists: what it does not find is a missing object. */
const SEEN_MS = 5000;
/** Truncated exponential pauses, in which clients do not return together. Who is more patient asks again. */
const RETRIES = { pauses: doubling(100, 4000, 0.9), outageMs: 15_000 } satisfies RetryOptions;

/** The parts of the rule that tests shorten. */
export type BucketRetries = Partial<Pick<RetryOptions, "pauses" | "outageMs" | "clock">>;

/** A bucket whose requests are repeated after failures that can pass. */
export function createBucket(name: string, requests: BucketRequests, options: BucketRetries = {}): Bucket {
  let seenAtMs = Number.NEGATIVE_INFINITY;
  const seen = <T>(answer: T): T => {
    seenAtMs = performance.now();
    return answer;
  };
  const repeat = async <T>(work: () => Promise<T>, tries?: number): Promise<T> => {
    let refusedTokens = 0;
    const isNewlyRefused = (err: unknown): boolean =>
      err instanceof Refusal && err.status === 401 && (refusedTokens += 1) === 1;
    const passes = (err: unknown): boolean => isPassing(err) || isNewlyRefused(err);
    try {
      return await retry(work, { ...RETRIES, ...options, tries, passes });
    } catch (err) {
      throw asUnavailable(name, err);
    }
  };
  /** @throws Refusal 404 when there is no such bucket */
  const checkBucket = async (): Promise<void> => {
    if (performance.now() - seenAtMs < SEEN_MS) return;
    seen(await requests.list({ prefix: "", limit: 1 }));
  };
  /** The same 404 is that of a missing object and that of a missing bucket. */
  const orMissing = async <T>(ask: () => Promise<T>): Promise<T | undefined> => {
    try {
      return seen(await ask());
    } catch (err) {
      if (!isStatus(err, 404)) throw err;
      await checkBucket();
      return undefined;
    }
  };

  const createFrom = (object: string, facts: UploadFacts) => {
    const mark = randomBytes(12).toString("base64url");
    const marked = { ...facts, metadata: { ...facts.metadata, [UPLOAD]: mark } };
    let isUnsure = false;
    return async (content: Uint8Array | AsyncIterable<Uint8Array>): Promise<BucketObject | undefined> => {
      try {
        return seen(withoutMark(await requests.upload(object, content, marked)));
      } catch (err) {
        if (!isStatus(err, 412)) {
          isUnsure = true;
          throw err;
        }
        if (!seen(isUnsure)) return undefined;
      }
      const there = await requests.stat(object);
      return there.metadata[UPLOAD] === mark ? withoutMark(there) : undefined;
    };
  };

  return {
    async create(object, content, facts) {
      checkMetadata(facts.metadata);
      const upload = createFrom(object, facts);
      if (content instanceof Uint8Array) return repeat(() => upload(content));
      let broken: { err: unknown } | undefined;
      const source = watched(content, (err) => (broken = { err }));
      try {
        return await repeat(() => upload(source), 1);
      } catch (err) {
        // Not a failure of the bucket, however much it looks like one: a client that left also resets its connection.
        throw broken === undefined ? err : broken.err;
      }
    },

    find: async (object) => {
      const found = await repeat(() => orMissing(() => requests.stat(object)));
      return found && withoutMark(found);
    },

    async *read(object, { from, to, generation }) {
      let at = from;
      let pieces: AsyncGenerator<Uint8Array, void> | undefined;
      const nextOnce = async (): Promise<Uint8Array | undefined> => {
        pieces ??= requests.download(object, { from: at, to, ...(generation !== undefined && { generation }) });
        try {
          const { value, done } = await pieces.next();
          return done ? undefined : value;
        } catch (err) {
          pieces = undefined;
          if (isStatus(err, 416)) return undefined;
          if (!isStatus(err, 404)) throw err;
          await checkBucket();
          throw new Error(`There is no object '${object}'`, { cause: err });
        }
      };
      try {
        while (at < to) {
          const piece = await repeat(nextOnce);
          if (piece === undefined) throw new Error("The object is shorter than it was");
          at += piece.length;
          yield piece;
        }
      } finally {
        await pieces?.return();
      }
    },

    list: (query) => repeat(async () => seen(await requests.list(query))),
    remove: (object) => repeat(() => orMissing(() => requests.remove(object))),
    settings: () => repeat(async () => seen(await requests.settings())),
  };
}

const isStatus = (err: unknown, status: number): err is Refusal => err instanceof Refusal && err.status === status;

function withoutMark({ metadata, ...object }: BucketObject): BucketObject {
  const { [UPLOAD]: _, ...own } = metadata;
  return { ...object, metadata: own };
}

/** @throws CodedError InvalidInput */
function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  const texts = [...Object.entries(metadata).flat(), UPLOAD, "x".repeat(16)];
  const sizeBytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (sizeBytes > MAX_METADATA_BYTES) throw new CodedError("InvalidInput", "The metadata of a blob is too long");
}

async function* watched<T>(source: AsyncIterable<T>, onError: (err: unknown) => void): AsyncGenerator<T, void> {
  try {
    yield* source;
  } catch (err) {
    onError(err);
    throw err;
  }
}
