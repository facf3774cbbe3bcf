import { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { callbackify } from "node:util";
import { CodedError, messageOf } from "../model/errors.ts";
import type { PumpSpec } from "../model/pump.ts";
import { fromServer, type AccessSource } from "../transfer/access.ts";
import { ask, targetOf } from "../transfer/http.ts";
import { readBuffer } from "../transfer/reader.ts";
import { markFailed, writeBuffer } from "../transfer/writer.ts";
import type { PipeBuffers } from "./buffers.ts";
import type { Journal } from "./journal.ts";

/** Blocks in flight of one pipe: each may be held in memory, and the server is on this machine or near it. */
const PARALLEL = 4;
const ANSWER_MS = 30_000;
/** What is left to say when all is lost: it must not hold up the end. */
const LAST_WORDS_MS = 3000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;
/** However long API and data plane are away, the run's own deadline decides, and whoever keeps it tells the pump. */
const OUTAGE_MS = Number.POSITIVE_INFINITY;

/** Buffers by signed URLs, for which the API of `spec` is asked when one is needed or has expired. */
export function connectBuffers(spec: PumpSpec, journal: Journal): PipeBuffers {
  const accessTo = (bufferId: string, writeable: boolean, signal: AbortSignal): AccessSource =>
    fromServer(() => requestAccess(spec, { bufferId, writeable, signal, journal }));
  const options = (bufferId: string, signal: AbortSignal) => ({
    dop: PARALLEL,
    outageMs: OUTAGE_MS,
    signal,
    onRetry: sometimes((reason) => journal("warn", "the data plane is asked again", { bufferId, reason })),
    onWarning: (warning: string) => journal("warn", "the transfer warns", { bufferId, warning }),
  });
  return {
    async read(bufferId, write, signal) {
      const pass = callbackify(write);
      const sink = new Writable({ highWaterMark: 1, write: (chunk: Uint8Array, _encoding, done) => pass(chunk, done) });
      await readBuffer(accessTo(bufferId, false, signal), sink, options(bufferId, signal));
      sink.end();
      await finished(sink);
    },

    async write(bufferId, source, signal) {
      const { sizeBytes } = await writeBuffer(source, accessTo(bufferId, true, signal), options(bufferId, signal));
      journal("info", "the buffer is complete", { bufferId, sizeBytes });
    },

    async markFailed(bufferId) {
      const marking = markFailed(accessTo(bufferId, true, AbortSignal.timeout(LAST_WORDS_MS)));
      await marking.catch((err: unknown) => journal("warn", "the end mark is missing", { reason: messageOf(err) }));
    },
  };
}

interface AccessRequest {
  bufferId: string;
  writeable: boolean;
  signal: AbortSignal;
  journal: Journal;
}

/** A fresh URL, asked for until the API answers or `signal` is aborted. @throws CodedError NotFound, InvalidInput */
async function requestAccess(spec: PumpSpec, { bufferId, writeable, signal, journal }: AccessRequest): Promise<string> {
  const query = new URLSearchParams({
    "api-version": "1.0",
    writeable: String(writeable),
    ttl: spec.bufferAccessTtl,
  });
  const url = `${spec.apiUrl.replace(/\/$/, "")}/buffers/${encodeURIComponent(bufferId)}/access?${query.toString()}`;
  const complain = sometimes((reason) => journal("warn", "the API is asked again", { bufferId, reason }));
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    let reason: string;
    try {
      // Also when all is lost there is one try: the failed end mark may need a URL.
      const limit = signal.aborted ? { timeoutMs: LAST_WORDS_MS } : { timeoutMs: ANSWER_MS, signal };
      const { status, body } = await ask(targetOf(url), { method: "POST", ...limit });
      if (status === 201) return uriOf(body);
      reason = `${status} ${body.toString("utf8", 0, 300)}`;
      if (status === 404) throw new CodedError("NotFound", "the buffer does not exist");
      if (status < 500 && status !== 429) throw new CodedError("InvalidInput", `The API refused access: ${reason}`);
    } catch (err) {
      if (err instanceof CodedError || signal.aborted) throw err;
      reason = messageOf(err);
    }
    complain(reason);
    await sleep(pauseMs, undefined, { signal });
  }
}

function uriOf(body: Buffer): string {
  const answer: unknown = JSON.parse(body.toString());
  const uri = typeof answer === "object" && answer !== null && "uri" in answer ? answer.uri : undefined;
  if (typeof uri !== "string") throw new Error("The API answered without a URL");
  return uri;
}

/** `say`, at most once in 10 s: an outage is worth a line, not one for each try. */
function sometimes(say: (text: string) => void): (text: string) => void {
  let saidAt = Number.NEGATIVE_INFINITY;
  return (text) => {
    if (performance.now() - saidAt < 10_000) return;
    saidAt = performance.now();
    say(text);
  };
}
