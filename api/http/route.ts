import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Table } from "../../contract/fields/field.ts";
import type { InputOf } from "../../contract/fields/message-types.ts";
import { ERROR_BODY } from "../../contract/fields/server-fields.ts";
import { querySchema } from "../../contract/lenient/query-schema.ts";
import { requestSchema } from "../../contract/lenient/request-schema.ts";
import { changeOf } from "./changes.ts";
import type { PathOf, QueryOf, Route, SuccessOf } from "../../contract/routes.ts";

/** A request to a route, checked: its path, query and body are in canonical form. */
export type RequestTo<R extends Route> = FastifyRequest<{
  Params: PathOf<R>;
  Querystring: QueryOf<R>;
  Body: R extends { body: infer T extends Table } ? InputOf<T> : unknown;
}>;

export type ReplyOf<R extends Route> = FastifyReply<{ Reply: SuccessOf<R> }>;

export interface Serving<R extends Route> {
  handler: (request: RequestTo<R>, reply: ReplyOf<R>) => Promise<SuccessOf<R> | FastifyReply | void>;
  /** Before the body is looked at. */
  preValidation?: (request: FastifyRequest, reply: ReplyOf<R>) => Promise<FastifyReply | void>;
}

/** Makes `app` answer a route of the contract; requests are checked by its schemas, and so are answers. */
export function serve<R extends Route>(app: FastifyInstance, route: R, serving: Serving<R>): void {
  // The schemas make of a request what the types say.
  const { handler, preValidation } = serving as unknown as Serving<Route>;
  const answers = Object.entries(route.answers).flatMap(([status, { type }]) =>
    type ? [[status, type] as const] : [],
  );
  const change = changeOf(route);
  app.route({
    method: route.method,
    url: route.path.replaceAll(/\{(\w+)\}/g, ":$1"),
    config: {
      neutral: route.isNeutral ?? false,
      ownerOnly: route.isOwnerOnly ?? false,
      ...(change !== undefined && { change }),
    },
    schema: {
      querystring: querySchema(route),
      ...(route.body && { body: requestSchema(route.body) }),
      response: { "4xx": { object: ERROR_BODY }, "5xx": { object: ERROR_BODY }, ...Object.fromEntries(answers) },
    },
    handler,
    ...(preValidation && { preValidation }),
  });
}
