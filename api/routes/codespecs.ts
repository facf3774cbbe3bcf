import type { FastifyPluginAsync } from "fastify";
import { serializerOf } from "../../contract/answer.ts";
import { CODESPEC } from "../../contract/fields/codespec-fields.ts";
import { ROUTES } from "../../contract/routes.ts";
import type { CodespecVersion } from "../../model/codespec/codespec.ts";
import type { CodespecService } from "../services/codespec-service.ts";
import type { SendPage } from "../http/pages.ts";
import { serve } from "../http/route.ts";

const locationOf = ({ name, version }: CodespecVersion): string => `/codespecs/${name}/${version}`;

const textOf = serializerOf({ object: CODESPEC });

export const codespecRoutes =
  (service: CodespecService, sendPage: SendPage): FastifyPluginAsync =>
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
      handler: (req, reply) => {
        const { prefix } = req.query;
        return sendPage(req, reply, { list: (page) => service.list(req.caller, { ...page, prefix }), textOf });
      },
    });
  };
