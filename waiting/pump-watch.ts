import { setTimeout as sleep } from "node:timers/promises";
import type { PumpChannel, PumpLink } from "../model/ports/pump-channel.ts";
import type { PumpState } from "../model/run/lifecycle.ts";
import type { PumpCommand } from "../model/run/pump.ts";
import { doubling, retry } from "./retry.ts";

/** Between two attempts to find out what became of a pump whose connection was lost. */
const pauses = doubling(10, 5000);

/**
 * How long after the end of a pipe a container that still runs was not killed by what ended the pipe, for an engine that knows of an
 * end at once.
 */
export const HELD_MS = 1000;

interface Held {
  pipeEnds: number;
  heardAtMs: number;
}

/** Stays connected to one pump: reports each of its states as it arrives, and its death when nothing listens any more. */
export class PumpWatch {
  readonly #channel: PumpChannel;
  readonly #changed: (state: PumpState) => void;
  readonly #onHeld: (heardAtMs: number) => void;
  readonly #closing = new AbortController();
  #state: PumpState = { phase: "Running" };
  #link: PumpLink | undefined;
  #linking: Promise<void> | undefined;
  #hasEnded = false;
  #held: Held[] = [];
  /** Connections in a row that were lost before the pump said anything. */
  #losses = 0;

  /**
   * `changed` gets each change that {@link look} did not return. `onHeld` is called when an output begins to wait for the
   * word on its job, at an instant of `performance.now()`, see {@link jobRunsOn}.
   */
  constructor(
    channel: PumpChannel,
    changed: (state: PumpState) => void,
    onHeld: (heardAtMs: number) => void = () => {},
  ) {
    this.#channel = channel;
    this.#changed = changed;
    this.#onHeld = onHeld;
  }

  /**
   * The state of the pump; connects to it first if necessary.
   * @throws CodedError Unavailable when it is not known
   */
  async look(): Promise<PumpState> {
    if (!this.#link && !this.#hasEnded && !this.#closing.signal.aborted) await this.#connect();
    return this.#state;
  }

  send(command: PumpCommand): void {
    this.#link?.send(command);
  }

  /**
   * The job still ran at `seenAtMs`: that completes the outputs whose pipes had ended `heldMs` before. Not sooner, because
   * the pipes of a job that is killed end before the engine knows of its end.
   * @returns whether others still wait
   */
  jobRunsOn(seenAtMs: number, heldMs = HELD_MS): boolean {
    const isSettled = ({ heardAtMs }: Held): boolean => seenAtMs - heardAtMs >= heldMs;
    const settled = this.#held.findLast(isSettled);
    if (settled) this.send({ command: "jobRunsOn", pipeEnds: settled.pipeEnds });
    return this.#held.some((held) => !isSettled(held));
  }

  close(): void {
    this.#closing.abort();
    this.#link?.close();
  }

  #connect(): Promise<void> {
    this.#linking ??= this.#connectOnce().finally(() => {
      this.#linking = undefined;
    });
    return this.#linking;
  }

  async #connectOnce(): Promise<void> {
    const link = await this.#channel.follow(({ pipeEnds, ...state }) => {
      this.#losses = 0;
      this.#hold(pipeEnds);
      this.#move(state);
    });
    if (link) {
      this.#link = link;
      void link.closed.then(() => this.#connectAgain());
      return;
    }
    const last = await this.#channel.state();
    // It is there after all, or nothing is known: the next look follows it again.
    if (last.phase === "Unknown" || last.phase === "Running") return;
    this.#hasEnded = true;
    this.#move(last);
  }

  /** A lost connection is not yet the end of the pump. Never rejects. */
  async #connectAgain(): Promise<void> {
    const { signal } = this.#closing;
    this.#link = undefined;
    this.#losses += 1;
    try {
      await sleep(pauses(this.#losses, undefined), undefined, { signal });
      await retry(() => this.look(), { pauses, signal });
    } catch {
      // It was closed.
    }
  }

  #hold(pipeEnds: number | undefined): void {
    // Only the pump knows that it has the answer: until then each look repeats it.
    if (pipeEnds === undefined) this.#held = [];
    else if (!this.#held.some((held) => held.pipeEnds === pipeEnds)) {
      const heardAtMs = performance.now();
      this.#held.push({ pipeEnds, heardAtMs });
      if (!this.#closing.signal.aborted) this.#onHeld(heardAtMs);
    }
  }

  #move(state: PumpState): void {
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return;
    this.#state = state;
    if (!this.#closing.signal.aborted) this.#changed(state);
  }
}
