import type { PumpState } from "../run/lifecycle.ts";
import type { PumpCommand, PumpReport } from "../run/pump.ts";

/**
 * The state of a pump as a channel can see it. `Unknown`: the pump has sent nothing for a while, and the channel cannot tell whether it is
 * dead: only its engine can.
 */
export type PumpSight = PumpState | { phase: "Unknown" };

/**
 * How we speak to the pump of one replica. Any number of processes can use it at once. `Sight` is the range of its answers: on one
 * machine a pump is never `Unknown`.
 */
export interface PumpChannel<Sight extends PumpSight = PumpSight> {
  /** @throws CodedError Unavailable when nothing can be found out for the moment */
  state(): Promise<Sight>;
  /**
   * Gives the pump a command and waits up to `withinMs` for the outcome: its result or failure, else what {@link state} gives.
   * Giving it twice is harmless. A pump gets the commands of one sender in their order.
   * @throws CodedError Unavailable
   */
  command(command: PumpCommand, withinMs: number): Promise<Sight>;
  /**
   * Passes each report of the pump to `heard`, the present one first.
   * @returns undefined when the pump has ended: `state` says how
   * @throws CodedError Unavailable
   */
  follow(heard: (report: PumpReport) => void): Promise<PumpLink | undefined>;
}

/** An open connection to a pump. */
export interface PumpLink {
  /** A command that is lost with the connection has to be given again. */
  send(command: PumpCommand): void;
  close(): void;
  /** Settles when the connection is closed, from whichever side; never rejects. */
  closed: Promise<void>;
}
