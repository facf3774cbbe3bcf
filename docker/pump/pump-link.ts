import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoOf } from "../../model/errors.ts";
import { atMost } from "../../waiting/bounded.ts";
import { every, retry } from "../../waiting/retry.ts";
import type { PumpChannel, PumpLink } from "../../model/ports/pump-channel.ts";
import type { PumpState } from "../../model/run/lifecycle.ts";
import { PUMP_FILES, stateOfResult, type PumpCommand, type PumpReport, type PumpResult } from "../../model/run/pump.ts";
import { inFolder, known, readResultFile } from "./pump-folder.ts";

/** The state of a pump that left no result and no longer listens. */
const DEAD_PUMP: PumpState = {
  phase: "Dead",
  message: "The process that streams the buffers died before it finished",
};

/** A state is a short line: more bytes than this without a line feed are not from a pump. */
const MAX_LINE = 64 * 1024;
const CONNECT_AGAIN_MS = 10;
const CONNECT_MS = 5000;
/** A pump sends its state at once; a suspended one still exists, but does not answer. */
const ANSWER_MS = 1000;

type Heard = (report: PumpReport) => void;

/**
 * The channel to the pump of an attempt on this machine: its socket, and the result file that it leaves in `folder`. When
 * nothing listens and there is no result, the pump is dead.
 */
export const localPump = (folder: string): PumpChannel<PumpState> => ({
  state: () => askPump(folder, undefined, ANSWER_MS),
  command: (command, withinMs) => askPump(folder, command, withinMs),
  follow: (heard) => connectPump(folder, heard),
});

const connectPump = (folder: string, heard: Heard): Promise<PumpLink | undefined> =>
  inFolder(folder, async (path) => {
    const socket = await known(() => connectSocket(join(path, PUMP_FILES.socket)));
    return socket && linkOver(socket, heard);
  });

/** The result of a pump that has ended, or undefined when it left none. @throws CodedError Unavailable */
async function readPumpResult(folder: string): Promise<PumpState | undefined> {
  const text = await readResultFile(folder);
  return text === undefined ? undefined : stateIn(text);
}

async function askPump(folder: string, command: PumpCommand | undefined, withinMs: number): Promise<PumpState> {
  const endMs = performance.now() + withinMs;
  for (;;) {
    const answer = await askOnce(folder, command, Math.max(0, endMs - performance.now()));
    if (answer !== "closed") return answer;
    // A pump that dies closes its connections first. Until nothing listens, it is taken for one that exists.
    if (performance.now() >= endMs) return { phase: "Running" };
    await sleep(CONNECT_AGAIN_MS);
  }
}

async function askOnce(
  folder: string,
  command: PumpCommand | undefined,
  withinMs: number,
): Promise<PumpState | "closed"> {
  const result = await readPumpResult(folder);
  if (result) return result;
  const answer = Promise.withResolvers<PumpState | "closed">();
  const link = await connectPump(folder, (report) => {
    const { pipeEnds: _, ...state } = report;
    if (command === undefined || state.phase !== "Running") answer.resolve(state);
  });
  // It can have ended between the two looks.
  if (!link) return (await readPumpResult(folder)) ?? DEAD_PUMP;
  if (command) link.send(command);
  void link.closed.then(() => answer.resolve("closed"));
  const state = await atMost(withinMs, answer.promise);
  link.close();
  return state ?? { phase: "Running" };
}

/** The content of a result file. One that cannot be read is a failure: nothing says that the outputs are whole. */
function stateIn(text: string): PumpState {
  try {
    const result = JSON.parse(text) as PumpResult;
    if (result.status === "Succeeded" || result.status === "Failed") return stateOfResult(result);
  } catch {
    // Below.
  }
  return { phase: "Failed", message: "The process that streams the buffers left a result that cannot be read" };
}

/** Undefined when nothing listens. @throws Error of any other failure, which says nothing about the pump */
async function connectSocket(path: string): Promise<Socket | undefined> {
  const connectOnce = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once("connect", () => resolve(socket));
      socket.once("error", reject);
    });
  // A full backlog is not a sign of death.
  const options = { pauses: every(CONNECT_AGAIN_MS), outageMs: CONNECT_MS, passes: isBacklogFull };
  try {
    return await retry(connectOnce, options);
  } catch (err) {
    if (!isNothingListening(err)) throw err;
    return undefined;
  }
}

const isBacklogFull = (err: unknown): boolean => errnoOf(err) === "EAGAIN";
const isNothingListening = (err: unknown): boolean => ["ENOENT", "ECONNREFUSED"].includes(errnoOf(err) ?? "");

function linkOver(socket: Socket, heard: Heard): PumpLink {
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
      for (const line of lines.filter(Boolean)) heard(JSON.parse(line) as PumpReport);
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
