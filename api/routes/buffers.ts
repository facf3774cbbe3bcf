import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { newBufferSchema } from "../../contract/buffer-schema.ts";
import { LOCAL } from "../../model/buffer/buffer.ts";
import type { BufferService } from "../services/buffer-service.ts";
import type { DataPlanePlace } from "../data-plane/data-plane-place.ts";
import { boolParameter, textParameter } from "../http/query.ts";

const params = z.object({ id: z.string() });

export const bufferRoutes =
  (service: BufferService, place: DataPlanePlace): FastifyPluginAsyncZod =>
  async (app) => {
    app.route({
      method: "POST",
      url: "/buffers",
      schema: { body: newBufferSchema },
      handler: async (req, reply) => {
        const buffer = await service.create(req.caller, req.body);
        return reply.code(201).header("etag", buffer.eTag).header("location", `/buffers/${buffer.id}`).send(buffer);
      },
    });

    app.route({
      method: "GET",
      url: "/buffers/:id",
      schema: { params, querystring: z.looseObject({ softDeleted: boolParameter }) },
      handler: async (req, reply) => {
        const buffer = await service.get(req.caller, req.params.id, req.query.softDeleted ?? false);
        return reply.header("etag", buffer.eTag).send(buffer);
      },
    });

    app.route({
      method: "POST",
      url: "/buffers/:id/access",
      schema: {
        params,
        querystring: z.looseObject({
          writeable: boolParameter,
          preferTcp: boolParameter,
          fromDocker: boolParameter,
          ttl: textParameter,
        }),
      },
      handler: async (req, reply) => {
        const { writeable = false, preferTcp = false, ttl } = req.query;
        const host = place.hostFor(req, preferTcp);
        const uri = await service.access(req.caller, req.params.id, { writeable, ttl, host });
        return reply.code(201).send({ uri });
      },
    });

    app.route({
      method: "GET",
      url: "/buffers/storage-accounts",
      handler: async (req) => [{ name: LOCAL, location: LOCAL, endpoint: place.endpointFor(req) }],
    });
  };
