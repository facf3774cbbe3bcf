import type { PumpChannel, PumpSight } from "../model/ports/pump-channel.ts";
import type { PumpState } from "../model/run/lifecycle.ts";
import type { PumpCommand } from "../model/run/pump.ts";

/** How long a pump may take to give up its buffers. */
const PUMP_END_MS = 5000;
/** A pump that has moved everything ends within this time of its job's end; one that still stores bytes is then stopped. */
const JOB_END_HEARD_MS = 1000;

const STOP: PumpCommand = { command: "stop" };

/** Ends the pump of a job that is over; `jobEnded` says how, unless the job was stopped. @throws CodedError Unavailable */
export async function settlePump(channel: PumpChannel, jobEnded?: PumpCommand): Promise<PumpState> {
  if (jobEnded) {
    const sight = await channel.command(jobEnded, JOB_END_HEARD_MS);
    if (isEnd(sight)) return sight;
  }
  const sight = await channel.command(STOP, PUMP_END_MS);
  if (isEnd(sight)) return sight;
  // Suspended, for example. It has the command, and what it did not complete does not count.
  return { phase: "Failed", message: "The process that streams the buffers did not end in time", cutOff: true };
}

/** Whether a pump that was seen so moves nothing any more. */
export const isEnd = (sight: PumpSight): sight is PumpState => sight.phase !== "Running" && sight.phase !== "Unknown";
