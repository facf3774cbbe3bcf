import type { FastifyPluginAsync } from "fastify";
import { API_VERSIONS } from "../../contract/api-version.ts";
import { ROUTES } from "../../contract/routes.ts";
import type { DataPlaneAddress } from "../data-plane/data-plane-address.ts";
import type { AccessControl } from "../auth/access.ts";
import { serve } from "../http/route.ts";
import type { ServerService } from "../services/server-service.ts";

/** The routes that need no version. */
export const serverRoutes =
  (service: ServerService, address: DataPlaneAddress, access: AccessControl): FastifyPluginAsync =>
  async (app) => {
    serve(app, ROUTES.getMetadata, {
      handler: async (req) => {
        const authority = access.authorityFor(req);
        return {
          ...(authority && {
            rbacEnabled: true,
            authority: authority.issuer,
            audience: authority.audience,
            ...(authority.clientId !== undefined && { cliAppId: authority.clientId }),
            ...(authority.scope !== undefined && { scope: authority.scope }),
          }),
          capabilities: await service.capabilities(address.baseUrlFor(req) === undefined),
          apiVersions: [...API_VERSIONS],
          storageEndpoints: [address.endpointFor(req)],
        };
      },
    });

    serve(app, ROUTES.checkHealth, {
      handler: async (_req, reply) => {
        const isHealthy = await service.isHealthy();
        return reply
          .code(isHealthy ? 200 : 503)
          .type("text/plain; charset=utf-8")
          .send(isHealthy ? "Healthy" : "Unhealthy");
      },
    });

    serve(app, ROUTES.getDatabaseVersion, { handler: async () => ({ id: service.databaseVersion }) });
  };
