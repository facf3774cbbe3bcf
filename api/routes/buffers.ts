import type { FastifyPluginAsync } from "fastify";
import { ROUTES } from "../../contract/routes.ts";
import type { BufferService } from "../services/buffer-service.ts";
import type { DataPlaneAddress } from "../data-plane/data-plane-address.ts";
import { serve } from "../http/route.ts";

export const bufferRoutes =
  (service: BufferService, address: DataPlaneAddress): FastifyPluginAsync =>
  async (app) => {
    serve(app, ROUTES.createBuffer, {
      handler: async (req, reply) => {
        const buffer = await service.create(req.caller, req.body);
        return reply.code(201).header("etag", buffer.eTag).header("location", `/buffers/${buffer.id}`).send(buffer);
      },
    });

    serve(app, ROUTES.getBuffer, {
      handler: async (req, reply) => {
        const buffer = await service.get(req.caller, req.params.id, req.query.softDeleted ?? false);
        return reply.header("etag", buffer.eTag).send(buffer);
      },
    });

    serve(app, ROUTES.accessBuffer, {
      handler: async (req, reply) => {
        const { writeable = false, preferTcp = false, ttl } = req.query;
        const baseUrl = address.baseUrlFor(req, preferTcp);
        const uri = await service.access(req.caller, req.params.id, { writeable, ttl, baseUrl });
        return reply.code(201).send({ uri });
      },
    });

    serve(app, ROUTES.listStorageAccounts, {
      handler: async (req) =>
        service.locations.map((name) => ({ name, location: name, endpoint: address.endpointFor(req) })),
    });
  };
