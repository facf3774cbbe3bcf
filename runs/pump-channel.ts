import {
  pumpKeyOf,
  type PumpAddress,
  type PumpChannel,
  type PumpKey,
  type PumpLink,
  type PumpRecord,
  type PumpRecords,
  type PumpSight,
} from "../model/ports/pump-channel.ts";
import { stateOfResult, type PumpCommand, type PumpReport } from "../model/run/pump.ts";
import type { Changes } from "../waiting/changes.ts";
import { isEnd } from "../waiting/pump-end.ts";
import { doubling, retry } from "../waiting/retry.ts";

/** Notifications can be lost with a connection, which is announced; this is for one that hangs. */
const LOOK_AGAIN_MS = 60_000;
const pauses = doubling(100, 5000);
/** After that, a command that could not be stored is lost, as with a broken connection. */
const SEND_MS = 60_000;

type Known = Pick<PumpRecords, "find" | "addCommand">;

/** The channel to a pump that speaks to our API: both sides leave what they have to say in the database. */
export function recordedPump(records: Known, changes: Changes<PumpKey>, pump: PumpAddress): PumpChannel {
  const look = async (): Promise<PumpSight> => sightOf(await records.find(pump));
  return {
    state: look,

    async command(command, withinMs) {
      const endMs = performance.now() + withinMs;
      const changed = changes.subscribe(pumpKeyOf(pump));
      try {
        await records.addCommand(pump, command);
        for (;;) {
          const sight = await look();
          const leftMs = endMs - performance.now();
          if (isEnd(sight) || leftMs <= 0) return sight;
          await changed.changed(Math.min(leftMs, LOOK_AGAIN_MS), NEVER);
        }
      } finally {
        changed.close();
      }
    },

    async follow(heard) {
      const first = await records.find(pump);
      return first?.result ? undefined : follow(records, changes, { pump, heard, first });
    },
  };
}

/** The state of a pump by its record. A pump that was never opened has not been heard from. */
export function sightOf(record: PumpRecord | undefined): PumpSight {
  if (record?.result) return stateOfResult(record.result);
  const { report, isHeard = false } = record ?? {};
  // A failure stays one, whether or not the pump can still be reached.
  if (report === undefined || (report.phase === "Running" && !isHeard)) return { phase: "Unknown" };
  const { pipeEnds: _, ...state } = report;
  return state;
}

const NEVER = new AbortController().signal;

interface Following {
  pump: PumpAddress;
  heard: (report: PumpReport) => void;
  first: PumpRecord | undefined;
}

function follow(records: Known, changes: Changes<PumpKey>, { pump, heard, first }: Following): PumpLink {
  const closing = new AbortController();
  const { signal } = closing;
  const changed = changes.subscribe(pumpKeyOf(pump));
  let last = "";
  const pass = (record: PumpRecord | undefined): void => {
    const report = record?.result ? stateOfResult(record.result) : record?.report;
    const text = JSON.stringify(report);
    if (report === undefined || text === last || signal.aborted) return;
    last = text;
    heard(report);
  };
  const findAgain = () => retry(() => records.find(pump), { pauses, signal });
  const read = async (): Promise<void> => {
    let record = first;
    pass(record);
    while (!record?.result && !signal.aborted) {
      await changed.changed(LOOK_AGAIN_MS, signal);
      if (!signal.aborted) pass((record = await findAgain()));
    }
  };
  let sending: Promise<unknown> = Promise.resolve();
  const send = (command: PumpCommand): void => {
    const sendOnce = () => retry(() => records.addCommand(pump, command), { pauses, outageMs: SEND_MS });
    // In their order, each until it is stored, also after a close.
    sending = sending.then(sendOnce).catch(() => undefined);
  };
  const closed = read()
    .catch(() => undefined)
    .finally(() => {
      closing.abort();
      changed.close();
    });
  return { send, close: () => closing.abort(), closed };
}
