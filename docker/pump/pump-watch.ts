import type { PumpState } from "../../model/run/lifecycle.ts";
import type { PumpCommand } from "../../model/run/pump.ts";
import { connectPump, DEAD_PUMP, readPumpResult, type PumpLink } from "./pump-link.ts";

/** Stays connected to one pump: reports each of its states as it arrives, and its death when the connection closes. */
export class PumpWatch {
  readonly #folder: string;
  readonly #changed: (state: PumpState) => void;
  #state: PumpState = { phase: "Running" };
  #link: PumpLink | undefined;
  #hasEnded = false;
  #isClosed = false;

  /** `changed` gets each change that {@link look} did not return. */
  constructor(folder: string, changed: (state: PumpState) => void) {
    this.#folder = folder;
    this.#changed = changed;
  }

  /** The state of the pump; connects to it first if necessary. */
  async look(): Promise<PumpState> {
    if (!this.#link && !this.#hasEnded && !this.#isClosed) {
      const link = await connectPump(this.#folder, (state) => this.#move(state));
      this.#link = link;
      if (!link) await this.#end();
      void link?.closed.then(async () => {
        this.#link = undefined;
        if (!this.#isClosed) await this.#end();
      });
    }
    return this.#state;
  }

  send(command: PumpCommand): void {
    this.#link?.send(command);
  }

  close(): void {
    this.#isClosed = true;
    this.#link?.close();
  }

  /** No process listens any longer: the result that it left counts. */
  async #end(): Promise<void> {
    this.#hasEnded = true;
    this.#move((await readPumpResult(this.#folder)) ?? DEAD_PUMP);
  }

  #move(state: PumpState): void {
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return;
    this.#state = state;
    if (!this.#isClosed) this.#changed(state);
  }
}
