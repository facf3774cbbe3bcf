import { isTerminal, type Run } from "../../model/run/run.ts";
import type { Client } from "../server/client.ts";
import { ServerError } from "../server/client-errors.ts";
import { lineBatchesOf } from "./line-reader.ts";
import type { Log } from "../terminal/log.ts";

/**
 * The states of a run as the server tells of them, the last one terminal. A stream that breaks is opened again; two
 * failures with nothing in between are an error.
 */
export async function* watchRun(client: Client, log: Log, id: string, signal?: AbortSignal): AsyncGenerator<Run> {
  let failures = 0;
  for (;;) {
    try {
      const response = await client.send({
        method: "GET",
        path: `/runs/${encodeURIComponent(id)}`,
        query: { watch: true },
        ...(signal && { signal }),
      });
      for await (const { lines } of lineBatchesOf(response as AsyncIterable<Buffer>)) {
        for (const line of lines) {
          const run = JSON.parse(line.toString("utf8")) as Run;
          failures = 0;
          yield run;
          if (isTerminal(run.status)) return;
        }
      }
      throw new Error("the watch ended before the run did");
    } catch (err) {
      const isFinal = err instanceof ServerError && err.status < 500;
      if (isFinal || signal?.aborted || ++failures > 1) throw err;
      log.warn("The watch is opened again", { error: err });
    }
  }
}
