import { join } from "node:path";
import { CodedError } from "../model/errors.ts";
import { PUMP_FILES, pipeFileOf, type PumpPipe } from "../model/run/pump.ts";
import type { Endings, PipeBuffers } from "./buffers.ts";
import { ReadEnd } from "./fifo.ts";

/** Moves what the job writes to a named pipe into a buffer. */
export class OutputPipe {
  readonly parameter: string;
  readonly bufferId: string;
  readonly #path: string;
  readonly #buffers: PipeBuffers;
  readonly #ends: Endings;
  #phase: "waiting" | "copying" | "over" | "taken" = "waiting";

  constructor({ parameter, bufferId }: PumpPipe, buffers: PipeBuffers, ends: Endings) {
    this.parameter = parameter;
    this.bufferId = bufferId;
    this.#path = join(PUMP_FILES.pipes, pipeFileOf(parameter));
    this.#buffers = buffers;
    this.#ends = ends;
  }

  /** Whether the buffer is complete. */
  get isOver(): boolean {
    return this.#phase === "over";
  }

  /** Whether the buffer has no end and none but us writes it. */
  get lacksEnd(): boolean {
    return this.#phase === "waiting" || this.#phase === "copying";
  }

  /**
   * Resolves when the buffer is complete and the job has ended.
   * @throws Error when the buffer could not be written, or the job wrote on after the end.
   */
  async serve(): Promise<void> {
    const end = new ReadEnd(this.#path);
    const { jobEnded, halt } = this.#ends;
    jobEnded.addEventListener("abort", () => end.nudge());
    await this.#copy(end);
    for (let last = false; !last;) {
      // The pass that began after the job's end sees all that the job wrote.
      last = jobEnded.aborted;
      for await (const _ of this.#open(end)) {
        throw new Error(`The job wrote to the output pipe '${this.parameter}' again after its end`);
      }
      halt.throwIfAborted();
    }
    this.#checkPlace(end);
  }

  async #copy(end: ReadEnd): Promise<void> {
    const chunks = this.#open(end);
    // The buffer is not touched before the job has opened the pipe: another attempt may be the one that launches.
    let next = await chunks.next();
    this.#phase = "copying";
    const checkPlace = (): void => this.#checkPlace(end);
    async function* source(): AsyncGenerator<Uint8Array> {
      for (; !next.done; next = await chunks.next()) yield next.value;
      checkPlace();
    }
    try {
      await this.#buffers.write(this.bufferId, source(), this.#ends.halt);
      this.#phase = "over";
    } catch (err) {
      if (err instanceof CodedError && err.code === "Conflict") this.#phase = "taken";
      throw err;
    }
  }

  #open(end: ReadEnd): AsyncGenerator<Uint8Array, void> {
    const stream = end.stream(this.#ends.halt);
    if (this.#ends.jobEnded.aborted) end.nudge();
    return stream;
  }

  /** @throws Error when the job put something else where its pipe was: what it holds would be lost in silence. */
  #checkPlace(end: ReadEnd): void {
    if (!end.isReplaced()) return;
    throw new Error(`The job replaced the output pipe '${this.parameter}' by a file: write to the pipe instead`);
  }
}
