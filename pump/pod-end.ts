import { writeFileSync } from "node:fs";
import { messageOf } from "../model/errors.ts";
import type { PumpResult } from "../model/run/pump.ts";
import { atMost } from "../waiting/bounded.ts";
import type { PumpEnd } from "./channel-end.ts";
import type { Journal } from "./journal.ts";

/** A cluster keeps the last 4096 bytes of a termination message, and a part of one cannot be read. A character has up to six. */
const MESSAGE_CHARS = 600;
/** The pod has the result: an API that is away does not hold up its end for longer. */
const FAREWELL_MS = 5000;

/** The end of a pump in a pod: its result is also the termination message of its container, so the pod says how it ended. */
export const podEnd = (end: PumpEnd, terminationFile: string, journal: Journal): PumpEnd => ({
  begin: () => end.begin(),
  show: (report) => end.show(report),
  async leave(result) {
    try {
      writeFileSync(terminationFile, terminationMessageOf(result));
    } catch (err) {
      journal("error", "could not write the termination message", { reason: messageOf(err) });
    }
    await atMost(FAREWELL_MS, end.leave(result));
  },
});

const terminationMessageOf = ({ message, ...result }: PumpResult): string =>
  JSON.stringify({
    ...result,
    ...(message !== undefined && { message: message.slice(0, MESSAGE_CHARS).toWellFormed() }),
  });
