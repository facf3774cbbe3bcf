import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { CodedError } from "../../model/errors.ts";
import { identityInName } from "../../model/run/identity.ts";
import { replyWithError } from "../http/errors.ts";
import { waitSecondsOf } from "../http/prefer.ts";
import { checkVersion } from "../http/version.ts";
import type { PumpCaller, PumpService } from "../services/pump-service.ts";
import type { DataPlaneAddress } from "./data-plane-address.ts";

/** Messages of pumps are a few lines. */
const MAX_BODY_BYTES = 64 * 1024;
const PUMP = "/pumps/:run/:replica";

/**
 * The requests of pumps, for the listener of the data plane: each carries the token of its replica.
 * @see docs/decisions/0140-a-pump-that-asks.md
 */
export const pumpRoutes =
  (service: PumpService, address: Pick<DataPlaneAddress, "baseUrlFor">): FastifyPluginAsync =>
  async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      "*",
      { parseAs: "string", bodyLimit: MAX_BODY_BYTES },
      async (_req: FastifyRequest, text: string) => parsed(text),
    );
    app.setErrorHandler(replyWithError);
    app.addHook("onRequest", async (req) => checkVersion(req));

    app.post(`${PUMP}/poll`, async (req, reply) =>
      service.poll(pumpOf(req), req.body, waitSecondsOf(req) * 1000, clientOf(reply)),
    );
    app.put(`${PUMP}/result`, async (req) => {
      await service.finish(pumpOf(req), req.body);
      return {};
    });
    app.post(`${PUMP}/buffers/:id/access`, async (req, reply) => {
      const { id } = req.params as { id: string };
      const { ttl, writeable } = req.query as { ttl?: string; writeable?: string };
      const query = { ttl, writeable: writeable === "true", baseUrl: address.baseUrlFor(req) };
      return reply.code(201).send({ uri: await service.access(pumpOf(req), id, query) });
    });
  };

/** @throws CodedError AuthenticationFailed for a request that names no pump, or has no token */
function pumpOf(req: FastifyRequest): PumpCaller {
  const { run: name, replica } = req.params as { run: string; replica: string };
  const run = identityInName(name);
  const token = /^Bearer ([\w-]{20,200})$/.exec(req.headers.authorization ?? "")?.[1];
  if (run === undefined || !/^[0-9]{1,9}$/.test(replica) || token === undefined) {
    throw new CodedError("AuthenticationFailed", "The request names no pump, or has no token");
  }
  return { run, replica: Number(replica), token };
}

/** Aborted when the client has left. */
function clientOf(reply: FastifyReply): AbortSignal {
  const leaving = new AbortController();
  reply.raw.once("close", () => leaving.abort());
  return leaving.signal;
}

/** Undefined, which no route takes for a message, if it is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
