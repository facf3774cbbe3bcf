import type { FastifyReply, FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import type { Run } from "../../model/run/run.ts";
import { newRunSchema } from "../../contract/run-schema.ts";
import {
  boolParameter,
  intParameter,
  logSinceParameter,
  pageOf,
  pageQuery,
  sinceParameter,
  statusesOf,
  tagsOf,
} from "../http/query.ts";
import { bytesOf } from "../runs/run-logs.ts";
import type { RunService } from "../runs/run-service.ts";
import type { SendStream } from "../http/streams.ts";

const params = z.object({ id: z.string() });

/** The idempotency key of a request, which may be any text. */
const keyOf = ({ headers }: FastifyRequest): string | undefined => {
  const key = headers["idempotency-key"];
  return typeof key === "string" && key !== "" ? key : undefined;
};

const sendCreated = (reply: FastifyReply, run: Run): FastifyReply =>
  reply.code(201).header("location", `/runs/${run.id}`).send(run);

async function* linesOf(runs: AsyncIterable<Run>): AsyncGenerator<string> {
  for await (const run of runs) yield `${JSON.stringify(run)}\n`;
}

export const runRoutes =
  (service: RunService, sendStream: SendStream): FastifyPluginAsyncZod =>
  async (app) => {
    app.route({
      method: "POST",
      url: "/runs",
      schema: { body: newRunSchema },
      // Before the body is looked at: a repeat gets the first run whatever it says.
      preValidation: async (req, reply) => {
        const key = keyOf(req);
        const run = key === undefined ? undefined : await service.findByKey(req.caller, key);
        if (run !== undefined) return sendCreated(reply, run);
      },
      handler: async (req, reply) => sendCreated(reply, await service.create(req.caller, req.body, keyOf(req))),
    });

    app.route({
      method: "GET",
      url: "/runs",
      schema: { querystring: pageQuery.extend({ since: sinceParameter }) },
      handler: (req) => {
        const { since, status } = req.query;
        const filter = { since, statuses: statusesOf(status), tags: tagsOf(req.query) };
        return pageOf(req.query, req.url, (page) => service.list(req.caller, { ...page, ...filter }));
      },
    });

    app.route({
      method: "GET",
      url: "/runs/counts",
      schema: { querystring: z.looseObject({ since: sinceParameter }) },
      handler: async (req) => {
        const counts = await service.counts(req.caller, { since: req.query.since, tags: tagsOf(req.query) });
        return Object.fromEntries(Object.entries(counts).map(([status, count]) => [status.toLowerCase(), count]));
      },
    });

    app.route({
      method: "GET",
      url: "/runs/:id",
      schema: { params, querystring: z.looseObject({ watch: boolParameter }) },
      handler: async (req, reply) => {
        if (req.query.watch !== true) return service.get(req.caller, req.params.id);
        const watch = await service.watch(req.caller, req.params.id);
        await sendStream(reply, {
          contentType: "application/json; charset=utf-8",
          headersFirst: true,
          chunks: (signal) => linesOf(watch(signal)),
        });
      },
    });

    app.route({
      method: "POST",
      url: "/runs/:id/cancel",
      schema: { params },
      handler: async (req, reply) => reply.code(202).send(await service.cancel(req.caller, req.params.id)),
    });

    app.route({
      method: "GET",
      url: "/runs/:id/logs",
      schema: {
        params,
        querystring: z.looseObject({
          timestamps: boolParameter,
          tailLines: intParameter,
          since: logSinceParameter,
          follow: boolParameter,
        }),
      },
      handler: async (req, reply) => {
        const { timestamps = false, tailLines, since, follow = false } = req.query;
        const read = await service.logs(req.caller, req.params.id, {
          follow,
          ...(tailLines !== undefined && { tailLines }),
          ...(since !== undefined && { since }),
        });
        await sendStream(reply, {
          contentType: "text/plain; charset=utf-8",
          headersFirst: follow,
          chunks: (signal) => bytesOf(read(signal), timestamps),
        });
      },
    });

    // Each run finalises itself; there is nothing that a sweep would have to bring about.
    app.route({ method: "POST", url: "/runs/_sweep", handler: async (_req, reply) => reply.code(200).send() });
  };
