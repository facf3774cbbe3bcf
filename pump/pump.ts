import { messageOf } from "../model/errors.ts";
import type { PumpPipe, PumpReport, PumpResult, PumpSpec } from "../model/run/pump.ts";
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
  onState: (state: PumpReport) => void;
}

type Failure = Required<Pick<PumpResult, "message">> & Pick<PumpResult, "cutOff">;

/**
 * All pipes of one replica, from the first open to the result. A failure leaves every pipe open, so that the job never
 * mistakes a broken stream for its end, until the worker has stopped the job.
 */
export class Pump {
  readonly #parts: PumpParts;
  readonly #pipes: (InputPipe | OutputPipe)[];
  readonly #outputs: OutputPipe[];
  /** Outputs whose pipes have ended before it was known whether the job was cut off, in this order. */
  readonly #held: OutputPipe[] = [];
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
        : new OutputPipe(pipe, parts.buffers, endings, (output) => this.#hold(output));
    this.#pipes = spec.pipes.map(pipeOf);
    this.#outputs = this.#pipes.filter((pipe) => pipe instanceof OutputPipe);
  }

  /** Moves all bytes until the job has ended or the pump was stopped, and returns the outcome. Never throws. */
  async run(): Promise<PumpResult> {
    await Promise.all([this.#released.promise, ...this.#pipes.map((pipe) => this.#move(pipe))]);
    if (this.#failure === undefined) return { status: "Succeeded" };
    const unended = this.#outputs.filter(({ isDone }) => !isDone);
    // Repeats what a writer has tried already: the server may have been unreachable.
    const buffers = await this.#parts.buffers;
    await Promise.all(unended.map(({ bufferId }) => buffers.markFailed(bufferId)));
    return { status: "Failed", ...this.#failure };
  }

  /**
   * The job has ended, so its inputs are no longer needed. If it ended by itself, its outputs are completed, also those that
   * it never opened; the outputs of a job that was cut off are given up, except for those that it is known to have ended.
   */
  endJob(isCutOff: boolean): void {
    if (isCutOff) this.#cutOff("The job was cut off before its outputs were complete");
    else for (const output of this.#outputs) output.release();
    this.#jobEnded.abort();
    this.#released.resolve();
  }

  /** The job still ran when the first `pipeEnds` outputs had ended, so it ended these itself, and they are completed. */
  goOn(pipeEnds: number): void {
    for (const output of this.#held.slice(0, pipeEnds)) output.release();
    this.#showHeld();
  }

  /** The run is over for another reason: outputs that are not complete are marked failed. */
  stop(): void {
    if (!this.#isDone()) this.#end({ message: "The run was stopped", cutOff: true });
    this.#halt.abort();
    this.#released.resolve();
  }

  /** Fails for `reason` unless everything has been moved already; `isCutOff` as the job does, which then is the cause. */
  interrupt(message: string, isCutOff: boolean): void {
    if (!this.#isDone()) this.#end({ message, ...(isCutOff && { cutOff: true }) });
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

  /** Shown only with the result, after the end marks: the job is over, so nothing has to be stopped. */
  #cutOff(message: string): void {
    if (this.#outputs.some(({ isReleased }) => !isReleased)) this.#failure ??= { message, cutOff: true };
    for (const output of this.#outputs) output.cutOff(message);
  }

  #hold(output: OutputPipe): void {
    this.#held.push(output);
    this.#showHeld();
  }

  #showHeld(): void {
    if (this.#failure !== undefined) return;
    const isHeld = this.#held.some(({ isReleased }) => !isReleased);
    this.#parts.onState({ phase: "Running", ...(isHeld && { pipeEnds: this.#held.length }) });
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
