import { doubling } from "../../waiting/retry.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { RUN_STATUSES } from "../../model/run/run.ts";
import { ServerError } from "../errors.ts";
import type { CallOptions, Http } from "../http/http.ts";
import { lineBatchesOf } from "./line-reader.ts";
import { hasEnded, type Run } from "../types.ts";

export interface WatchOptions extends CallOptions {
  /** Called when the stream broke and is opened again. */
  onReopen?: ((error: unknown) => void) | undefined;
}

/** A server that closes each stream at once is not asked more often than this. */
const pauses = doubling(100, 2000);

/**
 * The states of a run as the server shows them, the last one ended. A stream that breaks is opened again; two failures with
 * nothing in between are an error.
 */
export async function* watchRun(http: Http, id: string | number, options: WatchOptions): AsyncGenerator<Run, void> {
  const { signal, onReopen } = options;
  let failures = 0;
  /** Streams in a row that had nothing new. */
  let repeats = 0;
  let last = "";
  for (;;) {
    try {
      const path = `/runs/${encodeURIComponent(id)}`;
      const { body } = await http.send({ method: "GET", path, query: { watch: true }, signal });
      repeats += 1;
      let run: Run | undefined;
      for await (const { lines } of lineBatchesOf(body)) {
        for (const line of lines) {
          const text = line.toString("utf8");
          run = JSON.parse(text) as Run;
          failures = 0;
          if (text !== last) repeats = 0;
          last = text;
          yield run;
          if (hasEnded(run)) return;
        }
      }
      // A server that twice has no more to say of a status that is new to us: with it, the run has ended.
      if (run && repeats > 0 && !isKnown(run)) return;
      throw new Error("the watch ended before the run did");
    } catch (err) {
      signal?.throwIfAborted();
      const isFinal = err instanceof ServerError && err.status < 500;
      if (isFinal || ++failures > 1) throw err;
      onReopen?.(err);
    }
    if (repeats > 0) await sleep(pauses(repeats, undefined), undefined, signal && { signal }).catch(() => undefined);
  }
}

const isKnown = ({ status }: Run): boolean => (RUN_STATUSES as readonly string[]).includes(status);
