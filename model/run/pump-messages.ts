import { isPumpPhase } from "./lifecycle.ts";
import { isAbsent, isFlag, isRecord, isText } from "./parse.ts";
import type { PumpCommand, PumpReport, PumpResult } from "./pump.ts";

/**
 * Messages between pumps and our API. The two can be of different versions: fields that we do not know are left out, and a
 * message without those that we need is unreadable, which is undefined.
 */

/** A random word that a pump process has chosen: only one process speaks for a pump. */
interface Speaker {
  instance: string;
}

/** With each question for commands a pump sends its present state. */
export interface PumpPoll extends Speaker {
  /** How many commands it has obeyed; those after them are the answer. */
  heard: number;
  /** Grows with each change of the report, so that one that arrives late changes nothing. */
  sequence: number;
  report: PumpReport;
}

/** The last message of a pump. */
export interface PumpFarewell extends Speaker {
  result: PumpResult;
}

/** The answer to a {@link PumpPoll}. Commands of a newer API that we do not know are passed over. */
export interface PumpOrders {
  commands: (PumpCommand | undefined)[];
}

/** Reports are a line; a longer one is cut, because it is kept with the run. */
const LONGEST_MESSAGE = 4096;
const INSTANCE = /^[\w-]{1,64}$/;

export function parsePoll(value: unknown): PumpPoll | undefined {
  if (!isRecord(value)) return undefined;
  const { instance, heard, sequence } = value;
  const report = parseReport(value["report"]);
  if (!isInstance(instance) || !isCount(heard) || !isCount(sequence) || report === undefined) return undefined;
  // Only a result says that a pump has succeeded, and no pump says that it is dead.
  if (report.phase !== "Running" && report.phase !== "Failed") return undefined;
  return { instance, heard, sequence, report };
}

export function parseFarewell(value: unknown): PumpFarewell | undefined {
  if (!isRecord(value)) return undefined;
  const { instance } = value;
  const result = parseResult(value["result"]);
  return isInstance(instance) && result !== undefined ? { instance, result } : undefined;
}

/** The result of a pump, as it also leaves it in its pod. */
export function parseResult(value: unknown): PumpResult | undefined {
  const { pipeEnds: _, phase, ...rest } = parseReport(withPhase(value)) ?? {};
  return phase === "Succeeded" || phase === "Failed" ? { status: phase, ...rest } : undefined;
}

export function parseOrders(value: unknown): PumpOrders | undefined {
  if (!isRecord(value) || !Array.isArray(value["commands"])) return undefined;
  return { commands: value["commands"].map(parseCommand) };
}

/** The command in a message to a pump; undefined for anything else. */
export function parseCommand(value: unknown): PumpCommand | undefined {
  if (!isRecord(value)) return undefined;
  const { command, cutOff, pipeEnds } = value;
  if (command === "stop" || command === "abandon") return { command };
  // Anything but a clear no could mean that the job was cut off.
  if (command === "jobEnded") return cutOff === undefined || cutOff === false ? { command } : { command, cutOff: true };
  return command === "jobRunsOn" && isCount(pipeEnds) ? { command, pipeEnds } : undefined;
}

function parseReport(value: unknown): PumpReport | undefined {
  if (!isRecord(value)) return undefined;
  const { phase, message, cutOff, pipeEnds } = value;
  if (!isText(phase) || !isPumpPhase(phase)) return undefined;
  if (!(isAbsent(message) || isText(message)) || !(isAbsent(cutOff) || isFlag(cutOff))) return undefined;
  if (!(isAbsent(pipeEnds) || isCount(pipeEnds))) return undefined;
  return {
    phase,
    ...(isText(message) && { message: storable(message) }),
    ...(isFlag(cutOff) && { cutOff }),
    ...(isCount(pipeEnds) && { pipeEnds }),
  };
}

const withPhase = (value: unknown): unknown => (isRecord(value) ? { ...value, phase: value["status"] } : undefined);

/** No database keeps a NUL or half of a character. */
const storable = (text: string): string => text.slice(0, LONGEST_MESSAGE).replaceAll("\0", "").toWellFormed();

const isInstance = (value: unknown): value is string => isText(value) && INSTANCE.test(value);
const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 31;
