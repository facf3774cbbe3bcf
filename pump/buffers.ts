/** What a pump does with buffers, by their ids; addresses and outages are the business of who does it. */
export interface PipeBuffers {
  /**
   * Hands the buffer's bytes to `write` in order and resolves after the verified end. One call of `write` at a time;
   * little is fetched ahead of it. @throws Error when the buffer is not whole, and what `write` throws.
   */
  read(bufferId: string, write: (chunk: Uint8Array) => Promise<void>, signal: AbortSignal): Promise<void>;
  /**
   * Writes `source` to the buffer up to the end mark; a failure of `source` or an abort marks the buffer failed. A
   * chunk is not touched any more once the next one is asked for.
   * @throws CodedError Conflict when somebody else has written it: then nothing is marked
   */
  write(bufferId: string, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  /** Gives a buffer a failed end mark, within a few seconds; one that has an end mark keeps it. Never throws. */
  markFailed(bufferId: string): Promise<void>;
}

/** When a pipe has to end: `jobEnded` in peace, `halt` because all is lost. */
export interface Endings {
  jobEnded: AbortSignal;
  halt: AbortSignal;
}
