import { textOf, type RunIdentity } from "./identity.ts";
import type { PumpState } from "./lifecycle.ts";

/** One pipe of a replica and the buffer behind it. */
export interface PumpPipe {
  parameter: string;
  direction: "input" | "output";
  bufferId: string;
  /** Where the buffer is; absent from the spec of an older worker. */
  place?: BufferPlace;
  /** The named pipe; without it, {@link pipeFileOf} in the pump's folder. */
  path?: string;
}

/**
 * How the pump of a replica reaches our API: at a server's URL (`https://data.example.org`, `http+unix:///path/data.sock:`),
 * below the path that {@link pumpPathOf} gives, with the token in a file.
 */
export interface PumpApi {
  url: string;
  path: string;
  tokenFile: string;
}

/** The path of a replica's pump on the listener of the data plane. */
export const pumpPathOf = (run: RunIdentity, replica: number): string => `/pumps/${textOf(run)}/${replica}`;

/**
 * Where a buffer of a replica is: in a filesystem store on this machine, or wherever its signed URLs lead, for which the
 * API is asked; `accessTtl` is a TimeSpan, the life of each.
 */
export type BufferPlace = { storeDir: string } | { api: PumpApi; accessTtl: string };

/** The instructions for a replica's pump, as JSON in its folder; contains no secret. */
export interface PumpSpec {
  runId: number;
  /** In the spec of an older worker, the place of all buffers. */
  buffers?: BufferPlace;
  /** The pump speaks to our API; without it, over a socket and a file in its folder. */
  channel?: PumpApi;
  pipes: PumpPipe[];
  /** With this token the replica writes its outputs, see {@link writerOf}; absent from the spec of an older worker. */
  writer?: string;
  /**
   * Of a pump in a pod: the file of its container's termination message, in which it also leaves its result. SIGTERM is then
   * the end of the pod, and so of its job.
   */
  terminationFile?: string;
}

/**
 * The token with which a run's replica is the writer of its outputs. Derived, so that the server can end them for a run
 * whose pump is gone.
 */
export const writerOf = (run: RunIdentity, replica: number): string => `run-${textOf(run)}-${replica}`;

/** Files in the folder of a launch attempt. The pump binds its socket by relative path: 107 bytes would not do. */
export const PUMP_FILES = {
  spec: "pump.json",
  socket: "pump.sock",
  result: "result.json",
  log: "pump.log",
  /** The only folder that the job sees. */
  pipes: "pipes",
} as const;

/** The exit code of a pump that could not read its folder, which says nothing about the attempt: EX_TEMPFAIL. */
export const TRY_AGAIN_EXIT = 75;

export const pipeFileOf = (parameter: string): string => `${parameter}.pipe`;

/** The named pipe, seen from the pump's folder. */
export const pipePathOf = ({ parameter, path = `${PUMP_FILES.pipes}/${pipeFileOf(parameter)}` }: PumpPipe): string =>
  path;

/** Left behind by a pump that is done. */
export interface PumpResult {
  status: "Succeeded" | "Failed";
  message?: string;
  /** As in {@link PumpState}; absent from the result of an older pump. */
  cutOff?: boolean;
}

/** The last state of a pump that left `result`. */
export const stateOfResult = ({ status, message, cutOff }: PumpResult): PumpState => ({
  phase: status,
  ...(message !== undefined && { message }),
  ...(cutOff && { cutOff }),
});

/**
 * Commands to a pump. On its socket each is a JSON object in a line, and the pump sends a {@link PumpReport} line on
 * connection and on each change; our API passes them on in the messages of `pump-messages.ts`.
 * - `jobEnded`: the container has ended; pipes that were never opened are abandoned. If it was cut off, outputs that are not
 *   complete are marked failed; an older worker does not say that.
 * - `jobRunsOn`: the answer to a report with these `pipeEnds`: a while later the container was still running.
 * - `stop`: the run is over for another reason; outputs without an end mark are marked failed.
 * - `abandon`: this attempt never launched; leave without touching a buffer.
 */
export type PumpCommand =
  | { command: "jobEnded"; cutOff?: boolean }
  | { command: "jobRunsOn"; pipeEnds: number }
  | { command: "stop" }
  | { command: "abandon" };

/** A report of a pump. Older workers ignore the fields that {@link PumpState} does not have. */
export interface PumpReport extends PumpState {
  /**
   * How many pipes of outputs have ended so far, as long as one of them waits: the pipes of a job that is killed end, too,
   * so its outputs are completed only when its exit is known, or that it runs on.
   */
  pipeEnds?: number;
}
