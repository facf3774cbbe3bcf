import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { isDiskFull } from "../../model/errno.ts";
import { CodedError, errnoOf, type ErrorCode } from "../../model/errors.ts";
import type { Blob, BlobHead, BufferStore } from "../../model/ports/store.ts";
import { errorBodyOf, statusOf } from "../../contract/error-status.ts";
import type { VerifyAccess } from "./signing.ts";
import { waitSecondsOf } from "../http/prefer.ts";
import { answerUnreadable } from "../http/unreadable-request.ts";
import { checkVersion } from "../http/version.ts";

export interface DataPlaneParts {
  store: BufferStore;
  verify: VerifyAccess;
  log: FastifyBaseLogger;
}

/** A slow upload is ended after this; clients give up a whole request after 100 s. */
const REQUEST_MS = 120_000;
/** More than a reader could check in one piece. */
const MAX_BLOB_BYTES = 2 ** 31 - 1;
const METADATA_PREFIX = "x-ms-meta-";

type Params = { container: string; "*": string };

/** The data plane as an app that listens nowhere yet: blobs by signed URL, streamed through. */
export function createDataPlane({ store, verify, log }: DataPlaneParts): FastifyInstance {
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    requestTimeout: REQUEST_MS,
    // Requests on connections from before the close are answered.
    return503OnClosing: false,
    http: { requireHostHeader: false },
    genReqId: () => randomUUID(),
    routerOptions: { maxParamLength: 1024 },
    clientErrorHandler: answerUnreadable,
    // The router's own refusal: its text would hold the whole URL, signature included.
    frameworkErrors: (_err, req, reply) => {
      setRequestId(req, reply);
      void refuse(new CodedError("InvalidBlobName", "The path is not well encoded"), req, reply);
    },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_req, payload, done) => done(null, payload));
  app.addHook("onRequest", async (req, reply) => {
    setRequestId(req, reply);
    // Bytes are bytes: Fastify would refuse an upload with a malformed content type.
    req.headers["content-type"] = "application/octet-stream";
  });
  app.setNotFoundHandler((req, reply) => {
    const path = req.url.split("?", 1)[0] ?? "";
    if (path.slice(path.lastIndexOf("/")).includes(".")) return reply.code(404).send();
    return reply.code(400).send(errorBodyOf("InvalidRoute", `There is no route '${req.method} ${path}'`));
  });
  app.setErrorHandler((err, req, reply) => {
    if (err instanceof CodedError) return refuse(err, req, reply);
    if (isClientGone(err) || isMalformed(err)) return reply.code(400).send();
    req.log.error({ err }, "unhandled error");
    return reply.code(500).send();
  });

  const allow = (req: FastifyRequest, letter: string): { id: string; path: string } => {
    const { container, "*": path } = req.params as Params;
    checkVersion(req);
    verify(container, req.query as Record<string, unknown>, letter);
    return { id: container, path };
  };
  const requireContainer = async (id: string): Promise<void> => {
    if (!(await store.exists(id))) throw new CodedError("ContainerNotFound", `The buffer '${id}' does not exist`);
  };

  app.get("/healthcheck", (_req, reply) => reply.type("text/plain").send("Healthy"));

  app.head("/containers/:container", async (req, reply) => {
    const { id } = allow(req, "R");
    await requireContainer(id);
    return reply.send();
  });
  app.put("/containers/:container", async (req, reply) => {
    const { id } = allow(req, "C");
    await store.provision(id);
    return reply.code(201).send();
  });
  app.delete("/containers/:container", async (req, reply) => {
    const { id } = allow(req, "D");
    await requireContainer(id);
    await store.delete(id);
    return reply.send();
  });

  app.put("/containers/:container/*", async (req, reply) => {
    const { id, path } = allow(req, "c");
    const contentMd5 = req.headers["content-md5"];
    await store.put(id, path, bodyOf(req), {
      metadata: metadataOf(req),
      ...(typeof contentMd5 === "string" ? { contentMd5 } : {}),
    });
    return reply.code(201).send();
  });
  app.get("/containers/:container/*", async (req, reply) => {
    const { id, path } = allow(req, "r");
    await sendBlob(req, reply, await getOrWait(store, id, path, req, reply));
  });
  app.head("/containers/:container/*", async (req, reply) => {
    const { id, path } = allow(req, "r");
    describe(reply, await store.head(id, path));
    return reply.send();
  });
  return app;
}

/** Straight on the raw response, for Fastify would write the name in lower case. */
const setRequestId = (req: FastifyRequest, reply: FastifyReply): void => {
  reply.raw.setHeader("Request-Id", req.id);
};

/** The blob; one that is missing is waited for as long as `Prefer: wait=N` asks, and not at all without it. */
async function getOrWait(
  store: BufferStore,
  id: string,
  path: string,
  req: FastifyRequest,
  reply: FastifyReply,
): Promise<Blob> {
  const endMs = Date.now() + waitSecondsOf(req) * 1000;
  let gone: AbortController | undefined;
  for (;;) {
    try {
      return await store.get(id, path);
    } catch (err) {
      const leftMs = endMs - Date.now();
      const mayCome = err instanceof CodedError && err.code === "BlobNotFound" && leftMs > 0;
      if (!mayCome || gone?.signal.aborted) throw err;
      if (gone === undefined) {
        const leaving = new AbortController();
        reply.raw.once("close", () => leaving.abort());
        gone = leaving;
        void reply.header("Preference-Applied", "wait");
      }
      await store.waitFor(id, path, leftMs, gone.signal);
    }
  }
}

/**
 * The body of an upload. Fastify's own limit does not hold for streams, and one without a length shows its size only as
 * it comes. @throws CodedError PayloadTooLarge
 */
function bodyOf(req: FastifyRequest): Readable {
  if (!(req.body instanceof Readable)) return Readable.from([]);
  const { "content-length": announced } = req.headers;
  if (announced === undefined) return Readable.from(bounded(req.body));
  if (Number(announced) > MAX_BLOB_BYTES) throw tooLarge();
  return req.body;
}

async function* bounded(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > MAX_BLOB_BYTES) throw tooLarge();
    yield chunk;
  }
}

const tooLarge = (): CodedError => new CodedError("PayloadTooLarge", `A blob has at most ${MAX_BLOB_BYTES} bytes`);

const metadataOf = (req: FastifyRequest): Record<string, string> =>
  Object.fromEntries(
    Object.entries(req.headers)
      .filter(([name]) => name.startsWith(METADATA_PREFIX))
      .map(([name, value]) => [name.slice(METADATA_PREFIX.length), String(value)]),
  );

function describe(reply: FastifyReply, head: BlobHead): void {
  void reply.type("application/octet-stream");
  void reply.header("Content-Length", head.sizeBytes).header("Content-MD5", head.contentMd5);
  for (const [name, value] of Object.entries(head.metadata)) void reply.header(`${METADATA_PREFIX}${name}`, value);
}

/**
 * Streams a blob past Fastify, which would take streams only: they do not say when a piece has been sent, and so each
 * would need memory of its own. An answer that cannot be sent whole is cut off.
 */
async function sendBlob(req: FastifyRequest, reply: FastifyReply, blob: Blob): Promise<void> {
  describe(reply, blob);
  reply.hijack();
  const { raw } = reply;
  let sentBytes = 0;
  try {
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
    for await (const piece of blob.body) {
      await writeTo(raw, piece);
      sentBytes += piece.byteLength;
    }
    if (sentBytes === blob.sizeBytes) raw.end();
    else throw new Error(`The blob has ${sentBytes} bytes, not ${blob.sizeBytes}`);
  } catch (err) {
    // The rest of the answer would be mistaken for the next one on this connection.
    if (!raw.destroyed) req.log.error({ err }, "a blob could not be sent whole");
    raw.destroy();
  }
}

/** Resolves when the kernel has taken all of `bytes`; rejects when the client is gone. */
function writeTo(raw: ServerResponse, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(new Error("The client is gone"));
    if (raw.destroyed) return leave();
    raw.once("close", leave);
    raw.write(bytes, (err) => {
      raw.off("close", leave);
      if (err) reject(err);
      else resolve();
    });
  });
}

/** The codes of the protocol say all; the body is for people, with failures that no client has a reaction to. */
const BARE: readonly ErrorCode[] = [
  "AuthenticationFailed",
  "AuthorizationPermissionMismatch",
  "InvalidContainerName",
  "InvalidBlobName",
  "ContainerNotFound",
  "BlobNotFound",
  "UnauthorizedBlobOverwrite",
  "Md5Mismatch",
];

function refuse(err: CodedError, req: FastifyRequest, reply: FastifyReply): FastifyReply {
  void reply.header("x-ms-error-code", err.code);
  if (BARE.includes(err.code)) return reply.code(statusOf(err.code)).send();
  // A full disk is not a busy server: clients would retry without success until they give up.
  const isFull = isDiskFull(err.cause);
  if (isFull) req.log.error({ reason: errnoOf(err.cause) }, "the buffer store is full");
  return reply.code(isFull ? 507 : statusOf(err.code)).send(errorBodyOf(err.code, err.message));
}

/** A request that Fastify itself refuses. */
const isMalformed = (err: unknown): boolean =>
  err instanceof Error && "statusCode" in err && typeof err.statusCode === "number" && err.statusCode < 500;

/** A torn upload is not a bug; its client will not read the answer. */
const isClientGone = (err: unknown): boolean =>
  err instanceof Error && "code" in err && (err.code === "ECONNRESET" || err.code === "ERR_STREAM_PREMATURE_CLOSE");
