import { once } from "node:events";
import type { FastifyInstance, FastifyReply } from "fastify";
import { messageOf } from "../../model/errors.ts";

export type Chunk = string | Uint8Array;

/** An answer that comes bit by bit. */
export interface StreamedAnswer {
  contentType: string;
  chunks: (signal: AbortSignal) => AsyncIterable<Chunk>;
  /** Headers leave before there is anything to send; otherwise a failure before the first chunk is an error answer. */
  headersFirst: boolean;
  /** It ends by itself, as fast as the client reads: closing the app waits for it. */
  isFinite?: boolean;
}

/** Answers with chunks as they arrive, and never faster than the client reads: no chunk is produced before it is wanted. */
export type SendStream = (reply: FastifyReply, answer: StreamedAnswer) => Promise<void>;

/**
 * The sender of an app's streams. Some can be silent for hours, and would delay `close()` for as long; closing cuts
 * them, which a client sees as a broken answer and not as its end.
 */
export function createStreams(app: FastifyInstance): SendStream {
  const open = new Set<AbortController>();
  app.addHook("preClose", async () => {
    for (const stream of open) stream.abort();
  });

  return async (reply, { contentType, chunks, headersFirst, isFinite = false }) => {
    const cut = new AbortController();
    const { raw } = reply;
    if (!isFinite) open.add(cut);
    raw.once("close", () => cut.abort());
    if (raw.destroyed) cut.abort();
    const source = chunks(cut.signal)[Symbol.asyncIterator]();
    try {
      let next = headersFirst ? undefined : await source.next();
      reply.hijack();
      raw.writeHead(200, { "content-type": contentType });
      raw.flushHeaders();
      next ??= await source.next();
      while (next.done !== true && !cut.signal.aborted) {
        if (!raw.write(next.value)) await once(raw, "drain", { signal: cut.signal });
        next = await source.next();
      }
      if (cut.signal.aborted) raw.destroy();
      else raw.end();
    } catch (err) {
      if (!reply.sent) throw err;
      if (!cut.signal.aborted) reply.log.warn({ reason: messageOf(err) }, "a stream broke off");
      raw.destroy();
    } finally {
      open.delete(cut);
      await source.return?.(undefined);
    }
  };
}
