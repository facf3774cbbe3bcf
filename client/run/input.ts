import { atMost } from "../../waiting/bounded.ts";

/** A source that ends within this time after its run is stored whole: its writer was about to close it. */
export const LAST_WORDS_MS = 250;

/** The transfer of a source into a run's input buffer, which no other client writes. */
export interface RunInput {
  /** Resolves when the transfer has finished, or {@link finish} has cut it. */
  readonly done: Promise<unknown>;
  /**
   * Call this once the run has succeeded, when nothing reads its input anymore. If the source has ended, the rest of it is
   * stored; otherwise this stops reading, marks the buffer failed, and returns true.
   */
  finish(): Promise<boolean>;
}

/** Starts `write` with the bytes of `source`. An infinite source must not keep a run that has succeeded from its end. */
export function sendInput(
  source: AsyncIterable<Uint8Array>,
  given: AbortSignal,
  write: (source: AsyncIterable<Uint8Array>, signal: AbortSignal) => Promise<unknown>,
): RunInput {
  const cutting = new AbortController();
  let hasEnded = false;
  async function* noticingItsEnd(): AsyncGenerator<Uint8Array> {
    yield* source;
    hasEnded = true;
  }
  const signal = AbortSignal.any([given, cutting.signal]);
  let isCut = false;
  const done = write(noticingItsEnd(), signal).catch((err: unknown) => {
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
