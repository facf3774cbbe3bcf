import { rmSync } from "node:fs";
import { join } from "node:path";
import { PUMP_FILES, pipeFileOf, type PumpPipe } from "../model/run/pump.ts";
import type { PipeBuffers } from "./buffers.ts";
import { type Endings, openWriteEnd, ReaderGone, type WriteEnd } from "./fifo.ts";

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

  constructor({ parameter, bufferId }: PumpPipe, buffers: Promise<PipeBuffers>, endings: Endings) {
    this.parameter = parameter;
    this.#bufferId = bufferId;
    this.#path = join(PUMP_FILES.pipes, pipeFileOf(parameter));
    this.#buffers = buffers;
    this.#endings = endings;
  }

  /** Whether the job has received all that it wanted. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /**
   * Resolves when the job has read all, has closed the pipe, or has ended.
   * @throws Error when the buffer failed; the pipe is then still open.
   */
  async move(): Promise<void> {
    const { jobEnded, halt } = this.#endings;
    try {
      await this.#copy(AbortSignal.any([jobEnded, halt]));
    } catch (err) {
      if (!(err instanceof ReaderGone) && !jobEnded.aborted) throw err;
    }
    halt.throwIfAborted();
    this.#isDone = true;
    // A job that opens the pipe again would wait forever; without the file it gets an error at once.
    rmSync(this.#path, { force: true });
    this.#end?.close();
  }

  async #copy(signal: AbortSignal): Promise<void> {
    const pieces = (await this.#buffers).read(this.#bufferId, signal);
    // A failure of the buffer ends the wait for the job, and a write that the job does not take.
    const opening = openWriteEnd(this.#path, pieces.failed).then((end) => (this.#end = end));
    // Its failure is reported where the end is first used.
    opening.catch(() => {});
    // Fetching begins before the job opens the pipe, so that its first byte is ready when it does.
    for await (const piece of pieces) await (await opening)?.write(piece);
    await opening;
  }
}
