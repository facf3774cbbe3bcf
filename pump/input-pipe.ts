import { pipePathOf, type PumpPipe } from "../model/run/pump.ts";
import type { PipeBuffers } from "./buffers.ts";
import { type Endings, WriteEnd } from "./fifo.ts";

/** Feeds a buffer to the job through a named pipe. */
export class InputPipe {
  readonly parameter: string;
  readonly #bufferId: string;
  readonly #path: string;
  readonly #buffers: Promise<PipeBuffers>;
  readonly #endings: Endings;
  /** Held here also after a failure: the job must not see an end that is not the buffer's. */
  #end: WriteEnd | undefined;
  #isDone = false;

  constructor(pipe: PumpPipe, buffers: Promise<PipeBuffers>, endings: Endings) {
    this.parameter = pipe.parameter;
    this.#bufferId = pipe.bufferId;
    this.#path = pipePathOf(pipe);
    this.#buffers = buffers;
    this.#endings = endings;
  }

  /** Whether all of the buffer is in the pipe, or the job has ended without it. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /**
   * Resolves when the job has ended: until then it can open the pipe again, for the bytes that it has not read yet.
   * @throws Error when the buffer failed; the pipe is then still open.
   */
  async move(): Promise<void> {
    const { jobEnded, halt } = this.#endings;
    const signal = AbortSignal.any([jobEnded, halt]);
    this.#end = new WriteEnd(this.#path);
    try {
      await this.#copy(this.#end, signal);
    } catch (err) {
      if (!jobEnded.aborted) throw err;
    }
    halt.throwIfAborted();
    this.#isDone = true;
    await this.#end.end(signal);
  }

  async #copy(end: WriteEnd, signal: AbortSignal): Promise<void> {
    const pieces = (await this.#buffers).read(this.#bufferId, signal);
    // A failure of the buffer ends a write that the job does not take.
    for await (const piece of pieces) await end.write(piece, pieces.failed);
  }
}
