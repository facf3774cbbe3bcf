import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import type { CodespecVersion } from "../../model/codespec/codespec.ts";
import type { CodespecService } from "../services/codespec-service.ts";
import { pageOf, pageQuery, textParameter } from "../http/query.ts";

const locationOf = ({ name, version }: CodespecVersion): string => `/codespecs/${name}/${version}`;

export const codespecRoutes =
  (service: CodespecService): FastifyPluginAsyncZod =>
  async (app) => {
    app.route({
      method: "PUT",
      url: "/codespecs/:name",
      schema: { params: z.object({ name: z.string() }), body: z.unknown() },
      handler: async (req, reply) => {
        const codespec = await service.put(req.caller, req.params.name, req.body);
        return reply
          .code(codespec.version === 1 ? 201 : 200)
          .header("location", locationOf(codespec))
          .send(codespec);
      },
    });

    app.route({
      method: "GET",
      url: "/codespecs/:name",
      schema: { params: z.object({ name: z.string() }) },
      handler: async (req, reply) => {
        const codespec = await service.get(req.caller, req.params.name);
        return reply.header("location", locationOf(codespec)).send(codespec);
      },
    });

    app.route({
      method: "GET",
      url: "/codespecs/:name/versions/:version",
      schema: { params: z.object({ name: z.string(), version: z.string() }) },
      handler: async (req, reply) => {
        const codespec = await service.get(req.caller, req.params.name, req.params.version);
        return reply.header("location", locationOf(codespec)).send(codespec);
      },
    });

    app.route({
      method: "GET",
      url: "/codespecs",
      schema: { querystring: pageQuery.extend({ prefix: textParameter }) },
      handler: (req) =>
        pageOf(req.query, req.url, (page) => service.list(req.caller, { ...page, prefix: req.query.prefix })),
    });
  };
