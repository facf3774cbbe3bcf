import type { Worker } from "node:worker_threads";
import { md5Of } from "./buffer-format.ts";

/** Smaller blobs are hashed in place: transferring one costs about as much. */
const LARGE_BYTES = 256 * 1024;
/** Bytes hashed before the thread is started, so that a small transfer does not pay for it. */
const EARLY_BYTES = 16 * 1024 * 1024;

/** Receives and returns the memory of the bytes, so that nothing is copied. A blob can come in pieces. */
const THREAD = `
  const { parentPort } = require("node:worker_threads");
  const { createHash } = require("node:crypto");
  const hashes = new Map();
  parentPort.on("message", ({ id, blob, bytes, isLast }) => {
    if (bytes === undefined) return void hashes.delete(blob);
    const hash = hashes.get(blob) ?? createHash("md5");
    hash.update(bytes);
    if (isLast) hashes.delete(blob);
    else hashes.set(blob, hash);
    parentPort.postMessage({ id, bytes, md5: isLast ? hash.digest("base64") : "" }, [bytes.buffer]);
  });
`;

export interface Hashed {
  /** The given bytes; the caller must use these from now on. */
  bytes: Buffer;
  /** Base64. */
  md5: string;
}

/** The MD5 of a blob that is taken piece by piece. */
export interface PiecesHash {
  /** `bytes` must not share their memory; they are returned once they have been hashed. The last have the MD5 of all. */
  take(bytes: Buffer, isLast: boolean): Promise<Hashed>;
  /** Forgets a blob whose last piece will not come. */
  drop(): void;
}

/** The MD5 of `bytes`, computed by `hash` if given. */
export const hashOf = async (bytes: Buffer, hash: BlobHash | undefined): Promise<Hashed> =>
  hash ? hash.take(bytes) : { bytes, md5: md5Of(bytes) };

/** Computes the MD5 of many large blobs in a thread of its own: hashing is most of the work of a reader or writer. */
export class BlobHash {
  #thread: Promise<Worker> | undefined;
  readonly #waiting = new Map<number, PromiseWithResolvers<Hashed>>();
  #lastId = 0;
  #hashedBytes = 0;

  /** `bytes` must not share their memory. */
  async take(bytes: Buffer): Promise<Hashed> {
    this.#hashedBytes += bytes.length;
    if (bytes.length < LARGE_BYTES || this.#hashedBytes < EARLY_BYTES) return { bytes, md5: md5Of(bytes) };
    const id = ++this.#lastId;
    return this.#send(id, id, bytes, true);
  }

  /** For a blob that is too large for one piece of memory. */
  pieces(): PiecesHash {
    const blob = ++this.#lastId;
    return {
      take: (bytes, isLast) => this.#send(++this.#lastId, blob, bytes, isLast),
      drop: () => void this.#thread?.then((thread) => thread.postMessage({ blob }, [])).catch(() => undefined),
    };
  }

  /** Ends the thread; pending hashes never resolve. */
  close(): void {
    void this.#thread?.then((thread) => thread.terminate());
  }

  async #send(id: number, blob: number, bytes: Buffer, isLast: boolean): Promise<Hashed> {
    this.#thread ??= this.#start();
    const thread = await this.#thread;
    const answer = Promise.withResolvers<Hashed>();
    this.#waiting.set(id, answer);
    thread.ref();
    thread.postMessage({ id, blob, bytes, isLast }, [bytes.buffer as ArrayBuffer]);
    return answer.promise;
  }

  async #start(): Promise<Worker> {
    const { Worker } = await import("node:worker_threads");
    // The thread must not open the process's own standard streams.
    const thread = new Worker(THREAD, { eval: true, env: {}, stdout: true, stderr: true });
    thread.on("message", ({ id, bytes, md5 }: { id: number; bytes: Uint8Array<ArrayBuffer>; md5: string }) => {
      this.#waiting.get(id)?.resolve({ bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), md5 });
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) thread.unref();
    });
    thread.on("error", (err) => {
      // The next blob gets a new thread.
      this.#thread = undefined;
      for (const answer of this.#waiting.values()) answer.reject(err);
      this.#waiting.clear();
    });
    return thread;
  }
}
