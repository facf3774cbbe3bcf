import type { Worker } from "node:worker_threads";
import { md5Of } from "./buffer-format.ts";

/** Smaller blobs are hashed in place: transferring one costs about as much. */
const LARGE_BYTES = 256 * 1024;
/** Bytes hashed before the thread is started, so that a small transfer does not pay for it. */
const EARLY_BYTES = 16 * 1024 * 1024;

/** Receives and returns the memory of the bytes, so that nothing is copied. */
const THREAD = `
  const { parentPort } = require("node:worker_threads");
  const { hash } = require("node:crypto");
  parentPort.on("message", ({ id, bytes }) => {
    parentPort.postMessage({ id, bytes, md5: hash("md5", bytes, "base64") }, [bytes.buffer]);
  });
`;

export interface Hashed {
  /** The given bytes; the caller must use these from now on. */
  bytes: Buffer;
  /** Base64. */
  md5: string;
}

/** The MD5 of `bytes`, computed by `hash` if given. */
export const hashOf = async (bytes: Buffer, hash: BlobHash | undefined): Promise<Hashed> =>
  hash ? hash.take(bytes) : { bytes, md5: md5Of(bytes) };

/** Computes the MD5 of many large blobs in a thread of its own: hashing is most of a reader's work. */
export class BlobHash {
  #thread: Promise<Worker> | undefined;
  readonly #waiting = new Map<number, PromiseWithResolvers<Hashed>>();
  #lastId = 0;
  #hashedBytes = 0;

  /** `bytes` must not share their memory. */
  async take(bytes: Buffer): Promise<Hashed> {
    this.#hashedBytes += bytes.length;
    if (bytes.length < LARGE_BYTES || this.#hashedBytes < EARLY_BYTES) return { bytes, md5: md5Of(bytes) };
    this.#thread ??= this.#start();
    const thread = await this.#thread;
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<Hashed>();
    this.#waiting.set(id, answer);
    thread.ref();
    thread.postMessage({ id, bytes }, [bytes.buffer as ArrayBuffer]);
    return answer.promise;
  }

  /** Ends the thread; pending hashes never resolve. */
  close(): void {
    void this.#thread?.then((thread) => thread.terminate());
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
      for (const answer of this.#waiting.values()) answer.reject(err);
      this.#waiting.clear();
    });
    return thread;
  }
}
