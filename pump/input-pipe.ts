import { rmSync } from "node:fs";
import { join } from "node:path";
import { PUMP_FILES, pipeFileOf, type PumpPipe } from "../model/run/pump.ts";
import type { Endings, PipeBuffers } from "./buffers.ts";
import { openWriteEnd, ReaderGone, type WriteEnd } from "./fifo.ts";

/** Feeds a buffer to the job through a named pipe. */
export class InputPipe {
  readonly parameter: string;
  readonly #bufferId: string;
  readonly #path: string;
  readonly #buffers: PipeBuffers;
  readonly #ends: Endings;
  /** Held here also after a failure: the job must not see an end that is not the buffer's. */
  #end: WriteEnd | undefined;
  #over = false;

  constructor({ parameter, bufferId }: PumpPipe, buffers: PipeBuffers, ends: Endings) {
    this.parameter = parameter;
    this.#bufferId = bufferId;
    this.#path = join(PUMP_FILES.pipes, pipeFileOf(parameter));
    this.#buffers = buffers;
    this.#ends = ends;
  }

  /** Whether the job has had all that it wanted. */
  get isOver(): boolean {
    return this.#over;
  }

  /**
   * Resolves when the job has read all, has closed the pipe, or has ended.
   * @throws Error when the buffer failed; the pipe is then still open.
   */
  async serve(): Promise<void> {
    const { jobEnded, halt } = this.#ends;
    const signal = AbortSignal.any([jobEnded, halt]);
    const opening = openWriteEnd(this.#path, signal).then((end) => (this.#end = end));
    // Its failure is reported where the end is first used.
    opening.catch(() => {});
    try {
      // Fetching begins before the job opens the pipe, so that its first byte is there when it does.
      await this.#buffers.read(this.#bufferId, async (chunk) => (await opening)?.write(chunk), signal);
      await opening;
    } catch (err) {
      if (!(err instanceof ReaderGone) && !jobEnded.aborted) throw err;
    }
    halt.throwIfAborted();
    this.#over = true;
    // A job that opens the pipe again would wait for ever; without the file it is told at once.
    rmSync(this.#path, { force: true });
    this.#end?.close();
  }
}
