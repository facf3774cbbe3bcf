import type { FastifyPluginAsync } from "fastify";
import { ROUTES } from "../../contract/routes.ts";
import type { CodespecVersion } from "../../model/codespec/codespec.ts";
import type { CodespecService } from "../services/codespec-service.ts";
import { pageOf } from "../http/query.ts";
import { serve } from "../http/route.ts";

const locationOf = ({ name, version }: CodespecVersion): string => `/codespecs/${name}/${version}`;

export const codespecRoutes =
  (service: CodespecService): FastifyPluginAsync =>
  async (app) => {
    serve(app, ROUTES.putCodespec, {
      handler: async (req, reply) => {
        const codespec = await service.put(req.caller, req.params.name, req.body);
        return reply
          .code(codespec.version === 1 ? 201 : 200)
          .header("location", locationOf(codespec))
          .send(codespec);
      },
    });

    serve(app, ROUTES.getCodespec, {
      handler: async (req, reply) => {
        const codespec = await service.get(req.caller, req.params.name);
        return reply.header("location", locationOf(codespec)).send(codespec);
      },
    });

    serve(app, ROUTES.getCodespecVersion, {
      handler: async (req, reply) => {
        const codespec = await service.get(req.caller, req.params.name, req.params.version);
        return reply.header("location", locationOf(codespec)).send(codespec);
      },
    });

    serve(app, ROUTES.listCodespecs, {
      handler: (req) =>
        pageOf(req.query, req.url, (page) => service.list(req.caller, { ...page, prefix: req.query.prefix })),
    });
  };
