import type { PumpState } from "../../model/run/lifecycle.ts";
import type { PumpCommand } from "../../model/run/pump.ts";
import { connectPump, DEAD_PUMP, readPumpResult, type PumpLink } from "./pump-link.ts";

/** Stays connected to one pump: each of its states is heard as it comes, and its death by the closed connection. */
export class PumpWatch {
  readonly #folder: string;
  readonly #changed: (state: PumpState) => void;
  #state: PumpState = { phase: "Running" };
  #link: PumpLink | undefined;
  #hasEnded = false;
  #isClosed = false;

  /** `changed` hears of each change that {@link look} did not give. */
  constructor(folder: string, changed: (state: PumpState) => void) {
    this.#folder = folder;
    this.#changed = changed;
  }

  /** The state of the pump; connects to it where that is not done yet. */
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

  /** Nobody listens any more: what it left is what counts. */
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
