import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { serializerOf } from "../../contract/answer.ts";
import { RUN } from "../../contract/fields/run-fields.ts";
import { ROUTES } from "../../contract/routes.ts";
import type { Run } from "../../model/run/run.ts";
import type { SendPage } from "../http/pages.ts";
import { serve } from "../http/route.ts";
import { bytesOf } from "../runs/run-logs.ts";
import type { RunService } from "../runs/run-service.ts";
import type { SendStream } from "../http/streams.ts";

/** The idempotency key of a request, which can be any text. */
const keyOf = ({ headers }: FastifyRequest): string | undefined => {
  const key = headers["idempotency-key"];
  return typeof key === "string" && key !== "" ? key : undefined;
};

/** The eTag on which the request depends; our eTags have no quotes, but a library may add them. */
const ifMatchOf = ({ headers }: FastifyRequest): string | undefined => {
  const eTag = headers["if-match"]?.trim().replace(/^"(.*)"$/, "$1");
  return eTag === "*" || eTag === "" ? undefined : eTag;
};

const sendCreated = (reply: FastifyReply, run: Run): FastifyReply =>
  reply.code(201).header("location", `/runs/${run.id}`).send(run);

const textOf = serializerOf({ object: RUN });

async function* linesOf(runs: AsyncIterable<Run>): AsyncGenerator<string> {
  for await (const run of runs) yield `${textOf(run)}\n`;
}

export const runRoutes =
  (service: RunService, sendStream: SendStream, sendPage: SendPage): FastifyPluginAsync =>
  async (app) => {
    serve(app, ROUTES.createRun, {
      // Before the body is looked at: a repeat gets the first run whatever it says.
      preValidation: async (req, reply) => {
        const key = keyOf(req);
        const run = key === undefined ? undefined : await service.findByKey(req.caller, key);
        if (run === undefined) return;
        req.isRepeat = true;
        return sendCreated(reply, run);
      },
      handler: async (req, reply) => sendCreated(reply, await service.create(req.caller, req.body, keyOf(req))),
    });

    serve(app, ROUTES.listRuns, {
      handler: (req, reply) => {
        const { since, status: statuses, tag: tags } = req.query;
        const filter = { since, statuses, tags };
        return sendPage(req, reply, { list: (page) => service.list(req.caller, { ...page, ...filter }), textOf });
      },
    });

    serve(app, ROUTES.countRuns, {
      handler: async (req) => {
        const counts = await service.counts(req.caller, { since: req.query.since, tags: req.query.tag });
        return Object.fromEntries(Object.entries(counts).map(([status, count]) => [status.toLowerCase(), count]));
      },
    });

    serve(app, ROUTES.getRun, {
      handler: async (req, reply) => {
        if (req.query.watch !== true) return service.get(req.caller, req.params.runId);
        const watch = await service.watch(req.caller, req.params.runId);
        await sendStream(reply, {
          contentType: "application/json; charset=utf-8",
          headersFirst: true,
          chunks: (signal) => linesOf(watch(signal)),
        });
      },
    });

    serve(app, ROUTES.setRun, {
      handler: async (req, reply) => {
        const { body, params } = req;
        if (body.id && String(body.id) !== params.runId) {
          // The REST contract, section 4: this one answer is a bare text.
          const refusal = JSON.stringify(`The id '${body.id}' is not the '${params.runId}' of the path`);
          return reply
            .code(400)
            .type("application/json; charset=utf-8")
            .serializer(String)
            .send(refusal as never);
        }
        const run = await service.setTags(req.caller, params.runId, body.tags ?? {}, ifMatchOf(req));
        return reply.header("ETag", run.eTag).send(run);
      },
    });

    serve(app, ROUTES.cancelRun, {
      handler: async (req, reply) => reply.code(202).send(await service.cancel(req.caller, req.params.runId)),
    });

    serve(app, ROUTES.getRunLogs, {
      handler: async (req, reply) => {
        const { timestamps = false, tailLines, since, follow = false } = req.query;
        const read = await service.logs(req.caller, req.params.runId, {
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

    // Each run ends by itself, so there is nothing to sweep; old clients call this.
    serve(app, ROUTES.sweepRuns, { handler: async (_req, reply) => reply.code(200).send() });
  };
