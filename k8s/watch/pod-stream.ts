import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../model/errors.ts";
import type { Kube } from "../client/kube.ts";
import { isRefused } from "../client/kube.ts";
import { linesOf, parseEvent, type WatchEvent } from "./watch-events.ts";

export interface PodStreamOptions {
  kube: Pick<Kube, "watchPods">;
  selector: string;
  /** A connection that is silent for this long is opened again: bookmarks come about once a minute. */
  silenceMs: number;
}

/** A server that ends each connection at once must not keep us busy. */
const REOPEN_MS = 200;

/** The watch cannot continue from here: everything has to be listed again. */
export class WatchExpired extends Error {}

/**
 * The changes of pods since a list, over as many connections as it takes. Ends when `signal` is aborted.
 * @throws WatchExpired; CodedError Unavailable when the cluster cannot be reached
 */
export async function* podChanges(
  { kube, selector, silenceMs }: PodStreamOptions,
  listedVersion: string,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent> {
  let resourceVersion = listedVersion;
  while (!signal.aborted) {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), silenceMs);
    try {
      const body = await opened(() =>
        kube.watchPods(selector, resourceVersion, AbortSignal.any([signal, silence.signal])),
      );
      for await (const line of linesOf(body as AsyncIterable<Buffer>)) {
        timer.refresh();
        const event = parseEvent(line);
        resourceVersion = event.resourceVersion ?? resourceVersion;
        yield event;
      }
    } catch (err) {
      // A silent connection, and one that broke off, continue with the next one.
      if (!silence.signal.aborted && !signal.aborted && !isBrokenOff(err)) throw err;
    } finally {
      clearTimeout(timer);
    }
    await sleep(REOPEN_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function opened<T>(open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (err) {
    if (isRefused(err, 410)) throw new WatchExpired(messageOf(err), { cause: err });
    throw err;
  }
}

/** Whether a connection that had been opened was cut. */
const isBrokenOff = (err: unknown): boolean =>
  err instanceof Error && "code" in err && (err.code === "ECONNRESET" || err.code === "ERR_STREAM_PREMATURE_CLOSE");
