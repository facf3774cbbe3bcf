import type { BlobSource } from "../../buffers/format/blobs.ts";
import { writeBuffer, type WriteOptions } from "../../buffers/format/writer.ts";
import { atMost } from "../../waiting/bounded.ts";

/** A stdin that ends so soon after its run counts as whole: its writer was about to close it. */
export const LAST_WORDS_MS = 250;

/** The transfer of stdin into the input buffer of a run, which nothing else writes or waits for. */
export interface RunInput {
  /** Resolves when the transfer is over; also when {@link finish} cut it. */
  readonly done: Promise<unknown>;
  /**
   * To be called once the run succeeded, when nothing reads its input any more. Stores what a stdin that has ended still
   * has under way; else stops, marks the buffer failed and returns true.
   */
  finish(): Promise<boolean>;
}

/** Starts the transfer. */
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
