import type { PumpReport, PumpResult } from "../model/run/pump.ts";

/** The pump's end of its channel; commands go to the function that it was made with. */
export interface PumpEnd {
  /**
   * False if this attempt is another process's, or over. No command arrives before the turn of the event loop in which this
   * resolves has ended.
   */
  begin(): Promise<boolean>;
  /** Shows the state to everyone who follows the pump, now or later. */
  show(report: PumpReport): void;
  /** Leaves the result, however long that takes: without one the pump counts as dead. */
  leave(result: PumpResult): Promise<void>;
}
