import { messageOf } from "../model/errors.ts";
import type { PumpState } from "../model/run/lifecycle.ts";
import type { PumpPipe, PumpResult, PumpSpec } from "../model/run/pump.ts";
import type { PipeBuffers } from "./buffers.ts";
import type { Endings } from "./fifo.ts";
import { InputPipe } from "./input-pipe.ts";
import { type Journal, withoutSecrets } from "./journal.ts";
import { OutputPipe } from "./output-pipe.ts";

export interface PumpParts {
  /** Pending while their code is loaded; pipes open meanwhile. */
  buffers: Promise<PipeBuffers>;
  journal: Journal;
  /** Called on each change until the result. */
  onState: (state: PumpState) => void;
}

type Failure = Required<Pick<PumpResult, "message">> & Pick<PumpResult, "cutOff">;

/**
 * All pipes of one replica, from the first open to the result. A failure leaves every pipe open, so that the job never
 * mistakes a broken stream for its end, until the worker has stopped the job.
 */
export class Pump {
  readonly #parts: PumpParts;
  readonly #pipes: (InputPipe | OutputPipe)[];
  readonly #jobEnded = new AbortController();
  readonly #halt = new AbortController();
  readonly #released = Promise.withResolvers<void>();
  #failure: Failure | undefined;

  constructor(spec: PumpSpec, parts: PumpParts) {
    this.#parts = parts;
    const endings: Endings = { jobEnded: this.#jobEnded.signal, halt: this.#halt.signal };
    const pipeOf = (pipe: PumpPipe): InputPipe | OutputPipe =>
      pipe.direction === "input"
        ? new InputPipe(pipe, parts.buffers, endings)
        : new OutputPipe(pipe, parts.buffers, endings);
    this.#pipes = spec.pipes.map(pipeOf);
  }

  /** Moves all bytes until the job has ended or the pump was stopped, and returns the outcome. Never throws. */
  async run(): Promise<PumpResult> {
    await Promise.all([this.#released.promise, ...this.#pipes.map((pipe) => this.#move(pipe))]);
    if (this.#failure === undefined) return { status: "Succeeded" };
    const outputs = this.#pipes.filter((pipe) => pipe instanceof OutputPipe);
    const unended = outputs.filter(({ isDone }) => !isDone);
    // Repeats what a writer has tried already: the server may have been unreachable.
    const buffers = await this.#parts.buffers;
    await Promise.all(unended.map(({ bufferId }) => buffers.markFailed(bufferId)));
    return { status: "Failed", ...this.#failure };
  }

  /** The job has ended by itself: pipes that it never opened are given up, and its outputs are completed. */
  endJob(): void {
    this.#jobEnded.abort();
    this.#released.resolve();
  }

  /** The run is over for another reason: outputs that are not complete are marked failed. */
  stop(): void {
    if (!this.#isDone()) this.#end({ message: "The run was stopped", cutOff: true });
    this.#halt.abort();
    this.#released.resolve();
  }

  /** Fails for `reason` unless everything has been moved already. */
  interrupt(reason: string): void {
    if (!this.#isDone()) this.fail(reason);
  }

  /** Ends all transfers and leaves the pipes open. */
  fail(message: string): void {
    this.#end({ message: withoutSecrets(message) });
  }

  /** Only the first failure counts: others follow from it. */
  #end(failure: Failure): void {
    if (this.#failure !== undefined || this.#halt.signal.aborted) return;
    this.#failure = failure;
    this.#parts.journal("error", "pump failed", { reason: failure.message });
    this.#halt.abort();
    this.#parts.onState({ phase: "Failed", ...failure });
  }

  #isDone(): boolean {
    return this.#pipes.every((pipe) => pipe.isDone);
  }

  async #move(pipe: InputPipe | OutputPipe): Promise<void> {
    const kind = pipe instanceof InputPipe ? "input" : "output";
    try {
      await pipe.move();
      this.#parts.journal("info", "pipe done", { parameter: pipe.parameter });
    } catch (err) {
      this.fail(`The ${kind} '${pipe.parameter}' failed: ${messageOf(err)}`);
    }
  }
}
