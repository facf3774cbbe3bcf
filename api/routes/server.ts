import type { FastifyPluginAsync } from "fastify";
import type { DataPlanePlace } from "../data-plane/data-plane-place.ts";
import { API_VERSIONS } from "../http/errors.ts";
import type { ServerService } from "../services/server-service.ts";

/** The routes that need no version. */
export const serverRoutes =
  (service: ServerService, place: DataPlanePlace): FastifyPluginAsync =>
  async (app) => {
    const config = { neutral: true };

    app.get("/metadata", { config }, async (req) => ({
      capabilities: await service.capabilities(place.hostFor(req) === undefined),
      apiVersions: API_VERSIONS,
      storageEndpoints: [place.endpointFor(req)],
    }));

    app.get("/healthcheck", { config }, async (_req, reply) => {
      const isHealthy = await service.isHealthy();
      return reply
        .code(isHealthy ? 200 : 503)
        .type("text/plain; charset=utf-8")
        .send(isHealthy ? "Healthy" : "Unhealthy");
    });

    app.get("/database-version-in-use", { config }, async () => ({ id: service.databaseVersion }));
  };
