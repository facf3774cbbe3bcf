import { randomUUID } from "node:crypto";
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { serializerOf } from "../contract/answer.ts";
import { errorBodyOf } from "../contract/error-status.ts";
import type { Type } from "../contract/fields/field.ts";
import { CodedError } from "../model/errors.ts";
import { baggageOf } from "./http/baggage.ts";
import type { BufferService } from "./services/buffer-service.ts";
import { installBodyParser, validatorOf } from "./http/body.ts";
import type { AccessControl } from "./auth/access.ts";
import { checkMember, checkOwner } from "../model/caller.ts";
import type { CodespecService } from "./services/codespec-service.ts";
import type { DataPlaneAddress } from "./data-plane/data-plane-address.ts";
import { logChange } from "./http/changes.ts";
import { replyWithError } from "./http/errors.ts";
import { createPages } from "./http/pages.ts";
import { bufferRoutes } from "./routes/buffers.ts";
import { codespecRoutes } from "./routes/codespecs.ts";
import { documentRoutes } from "./routes/document.ts";
import { runRoutes } from "./routes/runs.ts";
import { serverRoutes } from "./routes/server.ts";
import type { RunService } from "./runs/run-service.ts";
import type { ServerService } from "./services/server-service.ts";
import { createStreams } from "./http/streams.ts";
import { answerUnreadable } from "./http/unreadable-request.ts";
import { checkVersion, routedUrl } from "./http/version.ts";

export interface AppParts {
  codespecs: CodespecService;
  buffers: BufferService;
  runs: RunService;
  server: ServerService;
  address: DataPlaneAddress;
  access: AccessControl;
  log: FastifyBaseLogger;
}

/** For a request with its body; answers have no limit, because a watch can be silent for hours. */
const REQUEST_MS = 60_000;
const KEEP_ALIVE_MS = 60_000;

/** The control plane as an app that does not listen yet. Closing it cuts open streams and waits for the rest. */
export function createApp({ codespecs, buffers, runs, server, address, access, log }: AppParts): FastifyInstance {
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: "requestId" }),
    exposeHeadRoutes: false,
    forceCloseConnections: "idle",
    requestTimeout: REQUEST_MS,
    // Requests on connections from before the close are answered.
    return503OnClosing: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: { requireHostHeader: false },
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1024 },
    genReqId: () => randomUUID(),
    rewriteUrl: (req) => routedUrl(req.url ?? "/"),
    childLoggerFactory: (logger, bindings, options, raw) =>
      logger.child({ ...bindings, ...baggageOf(raw.headers["baggage"]) }, options),
    clientErrorHandler: answerUnreadable,
    frameworkErrors: (err, req, reply) => {
      setRequestId(req, reply);
      void replyWithError(err, req, reply);
    },
  });

  app.decorateRequest("caller");
  app.decorateRequest("isRepeat", false);
  installBodyParser(app);
  app.setValidatorCompiler(validatorOf);
  app.setSerializerCompiler(({ schema }) => serializerOf(schema as Type));
  app.setErrorHandler(replyWithError);
  app.setNotFoundHandler(replyUnknownRoute);
  app.addHook("onRequest", async (req, reply) => {
    setRequestId(req, reply);
    if (req.is404) return replyUnknownRoute(req, reply);
    const { neutral, ownerOnly } = req.routeOptions.config;
    if (neutral !== true) {
      req.caller = await access.callerOf(req);
      checkMember(req.caller);
      if (ownerOnly === true) checkOwner(req.caller);
    }
    checkVersion(req);
    checkQuery(req.query);
  });
  // Not when the response has been sent: the client can be gone before the change is made.
  app.addHook("onSend", (req, reply, _payload, done) => {
    logChange(req, reply);
    done();
  });
  app.addHook("onResponse", async (req, reply) => {
    const facts = { method: req.method, path: req.url.split("?", 1)[0], status: reply.statusCode };
    req.log.debug({ ...facts, ms: Math.round(reply.elapsedTime) }, "request answered");
  });

  const sendStream = createStreams(app);
  const sendPage = createPages(sendStream);
  void app.register(documentRoutes());
  void app.register(serverRoutes(server, address, access));
  void app.register(codespecRoutes(codespecs, sendPage));
  void app.register(bufferRoutes(buffers, address));
  void app.register(runRoutes(runs, sendStream, sendPage));
  return app;
}

/** On the raw response, because Fastify would write the name in lower case. */
const setRequestId = (req: FastifyRequest, reply: FastifyReply): void => {
  reply.raw.setHeader("Request-Id", req.id);
};

/** A path that looks like a file gets a bare 404, anything else the error of the contract. */
function replyUnknownRoute(req: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = req.url.split("?", 1)[0] ?? "";
  if (path.slice(path.lastIndexOf("/") + 1).includes(".")) return reply.code(404).send();
  return reply.code(400).send(errorBodyOf("InvalidRoute", `There is no route '${req.method} ${path.slice(0, 200)}'`));
}

/** @throws CodedError BadRequest for text that no database can store */
function checkQuery(query: unknown): void {
  const given = JSON.stringify(query);
  if (given.includes(String.raw`\u0000`)) {
    throw new CodedError("BadRequest", "A query parameter contains a character that cannot be used");
  }
}
