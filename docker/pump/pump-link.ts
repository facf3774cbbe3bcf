import { open, readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { errnoOf } from "../../model/errors.ts";
import { atMost } from "../../waiting/bounded.ts";
import { every, retry } from "../../waiting/retry.ts";
import type { PumpState } from "../../model/run/lifecycle.ts";
import { PUMP_FILES, stateOfResult, type PumpCommand, type PumpResult } from "../../model/run/pump.ts";

/** The state of a pump that left no result and no longer listens. */
export const DEAD_PUMP: PumpState = {
  phase: "Dead",
  message: "The process that streams the buffers died before it finished",
};

/** A state is a short line: more bytes than this without a line feed are not from a pump. */
const MAX_LINE = 64 * 1024;
const CONNECT_AGAIN_MS = 10;
const CONNECT_MS = 5000;
/** A pump sends its state at once; a suspended one still exists, but does not answer. */
const ANSWER_MS = 1000;

/** An open connection to the pump of one replica. */
export interface PumpLink {
  send(command: PumpCommand): void;
  close(): void;
  /** Settles when the connection is closed, from whichever side; never rejects. */
  closed: Promise<void>;
}

/**
 * Connects to the pump of `folder` and passes each state that it sends to `heard`.
 * @returns undefined when no process listens there
 */
export async function connectPump(folder: string, heard: (state: PumpState) => void): Promise<PumpLink | undefined> {
  // The path of a socket is limited to 107 bytes, so it is reached through the descriptor of its folder.
  const handle = await open(folder, "r").catch(() => undefined);
  if (!handle) return undefined;
  try {
    const socket = await connectSocket(`/proc/self/fd/${handle.fd}/${PUMP_FILES.socket}`);
    return socket && linkOver(socket, heard);
  } finally {
    await handle.close();
  }
}

/** The result of a pump that has ended, or undefined when it left none. */
export async function readPumpResult(folder: string): Promise<PumpState | undefined> {
  const text = await readFile(join(folder, PUMP_FILES.result), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  return stateOfResult(JSON.parse(text) as PumpResult);
}

/** The present state of the pump of `folder`. */
export const pumpStateOf = (folder: string): Promise<PumpState> => askPump(folder, undefined, ANSWER_MS);

/**
 * Sends a command to the pump of `folder` and waits up to `withinMs` for the outcome.
 * @returns its result or failure; `Running` when it continues, `Dead` when it is gone without a result
 */
export const endPump = (folder: string, command: PumpCommand, withinMs: number): Promise<PumpState> =>
  askPump(folder, command, withinMs);

async function askPump(folder: string, command: PumpCommand | undefined, withinMs: number): Promise<PumpState> {
  const result = await readPumpResult(folder);
  if (result) return result;
  const answer = Promise.withResolvers<PumpState>();
  const link = await connectPump(folder, (state) => {
    if (command === undefined || state.phase !== "Running") answer.resolve(state);
  });
  // It may have ended between the two looks.
  if (!link) return (await readPumpResult(folder)) ?? DEAD_PUMP;
  if (command) link.send(command);
  void link.closed.then(async () => answer.resolve((await readPumpResult(folder)) ?? DEAD_PUMP));
  const state = await atMost(withinMs, answer.promise);
  link.close();
  return state ?? { phase: "Running" };
}

function connectSocket(path: string): Promise<Socket | undefined> {
  const connectOnce = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once("connect", () => resolve(socket));
      socket.once("error", reject);
    });
  // A full backlog is not a sign of death.
  const options = { pauses: every(CONNECT_AGAIN_MS), outageMs: CONNECT_MS, passes: isBacklogFull };
  return retry(connectOnce, options).catch(() => undefined);
}

const isBacklogFull = (err: unknown): boolean => errnoOf(err) === "EAGAIN";

function linkOver(socket: Socket, heard: (state: PumpState) => void): PumpLink {
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => resolve());
  });
  let rest = "";
  socket.setEncoding("utf8");
  socket.removeAllListeners("error");
  socket.on("error", () => socket.destroy());
  socket.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE) socket.destroy();
    try {
      for (const line of lines) if (line !== "") heard(JSON.parse(line) as PumpState);
    } catch {
      // It is not a pump: closing the connection reports that.
      socket.destroy();
    }
  });
  return {
    closed,
    send: (command) => void socket.write(`${JSON.stringify(command)}\n`),
    // Only our half: a slow pump would write its state to a closed socket and lose the command with it.
    close: () => void socket.end().unref(),
  };
}
