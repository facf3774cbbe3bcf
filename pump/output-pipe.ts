import { pipePathOf, type PumpPipe } from "../model/run/pump.ts";
import type { PipeBuffers } from "./buffers.ts";
import { type Endings, NoPipeError, ReadEnd } from "./fifo.ts";

/** Moves the bytes that the job writes to a named pipe into a buffer. */
export class OutputPipe {
  readonly parameter: string;
  readonly bufferId: string;
  readonly #path: string;
  readonly #buffers: Promise<PipeBuffers>;
  readonly #endings: Endings;
  readonly #onHeld: (pipe: OutputPipe) => void;
  readonly #cutOff = new AbortController();
  readonly #signal: AbortSignal;
  readonly #release = Promise.withResolvers<void>();
  #isReleased = false;
  /** Whether the buffer is complete. */
  #isDone = false;

  /** `onHeld` is called when the pipe has ended and its buffer waits for {@link OutputPipe.release}. */
  constructor(pipe: PumpPipe, buffers: Promise<PipeBuffers>, endings: Endings, onHeld: (pipe: OutputPipe) => void) {
    this.parameter = pipe.parameter;
    this.bufferId = pipe.bufferId;
    this.#path = pipePathOf(pipe);
    this.#buffers = buffers;
    this.#endings = endings;
    this.#onHeld = onHeld;
    this.#signal = AbortSignal.any([endings.halt, this.#cutOff.signal]);
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** Whether the end of the pipe counts as the end of the output. */
  get isReleased(): boolean {
    return this.#isReleased;
  }

  /** The job ended its output itself, so the end of the pipe counts, whenever it comes. */
  release(): void {
    this.#isReleased = true;
    this.#release.resolve();
  }

  /** Gives up the output of a job that was cut off, unless it was released. */
  cutOff(reason: string): void {
    if (!this.#isReleased) this.#cutOff.abort(new Error(reason));
  }

  /**
   * Resolves when the buffer is complete and the job has ended.
   * @throws Error when the buffer could not be written, or the job wrote more after the end.
   */
  async move(): Promise<void> {
    const end = this.#openEnd();
    const { jobEnded, halt } = this.#endings;
    jobEnded.addEventListener("abort", () => end.nudge());
    await this.#copy(end);
    for (let last = false; !last;) {
      // Only a pass that begins after the job's end sees all that the job wrote.
      last = jobEnded.aborted;
      for await (const _ of this.#open(end)) {
        throw new Error(`The job wrote to the output pipe '${this.parameter}' again after its end`);
      }
      halt.throwIfAborted();
    }
    this.#checkPath(end);
  }

  async #copy(end: ReadEnd): Promise<void> {
    const chunks = this.#open(end);
    // The buffer is not touched before the job has opened the pipe: another attempt may be the one that launches.
    let next = await chunks.next();
    const checkPath = (): void => this.#checkPath(end);
    async function* source(): AsyncGenerator<Uint8Array> {
      for (; !next.done; next = await chunks.next()) yield next.value;
      checkPath();
    }
    // The pipe of a killed job ends like any other, and a reader takes the final blob for the end of the output.
    const mayEnd = (): Promise<void> => {
      if (!this.#isReleased) this.#onHeld(this);
      return this.#release.promise;
    };
    await (await this.#buffers).write(this.bufferId, source(), { signal: this.#signal, mayEnd });
    this.#isDone = true;
  }

  #open(end: ReadEnd): AsyncGenerator<Uint8Array, void> {
    const stream = end.stream(this.#signal);
    if (this.#endings.jobEnded.aborted) end.nudge();
    return stream;
  }

  /** @throws Error when the job was quick enough to put a file where its pipe was before we opened that. */
  #openEnd(): ReadEnd {
    try {
      return new ReadEnd(this.#path);
    } catch (err) {
      throw err instanceof NoPipeError ? this.#replaced() : err;
    }
  }

  /** @throws Error when the job put a file where its pipe was: its content would be lost silently. */
  #checkPath(end: ReadEnd): void {
    if (end.isReplaced()) throw this.#replaced();
  }

  #replaced(): Error {
    return new Error(`The job replaced the output pipe '${this.parameter}' with a file; write to the pipe instead`);
  }
}
