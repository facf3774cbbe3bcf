import type { BlobSource } from "../../buffers/format/blobs.ts";
import { writeBuffer, type WriteOptions } from "../../buffers/format/writer.ts";
import { atMost } from "../../waiting/bounded.ts";

/** A stdin that ends within this time after its run is stored whole: its writer was about to close it. */
export const LAST_WORDS_MS = 250;

/** The transfer of stdin into a run's input buffer, which only this command writes. */
export interface RunInput {
  /** Resolves when the transfer has finished, or {@link finish} has cut it. */
  readonly done: Promise<unknown>;
  /**
   * Call this once the run has succeeded, when nothing reads its input anymore. If stdin has ended, the rest of it is
   * stored; otherwise this stops reading, marks the buffer failed, and returns true.
   */
  finish(): Promise<boolean>;
}

export function sendInput(
  stdin: AsyncIterable<Uint8Array>,
  target: BlobSource,
  options: WriteOptions & { signal: AbortSignal },
): RunInput {
  const cutting = new AbortController();
  let hasEnded = false;
  async function* noticingItsEnd(): AsyncGenerator<Uint8Array> {
    yield* stdin;
    hasEnded = true;
  }
  const signal = AbortSignal.any([options.signal, cutting.signal]);
  let isCut = false;
  const done = writeBuffer(noticingItsEnd(), target, { ...options, signal }).catch((err: unknown) => {
    isCut = cutting.signal.aborted && err === cutting.signal.reason;
    if (!isCut) throw err;
  });
  return {
    done,
    async finish() {
      if (!hasEnded) await atMost(LAST_WORDS_MS, done);
      if (!hasEnded) cutting.abort();
      await done;
      return isCut;
    },
  };
}
