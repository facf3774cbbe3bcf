import { randomUUID } from "node:crypto";
import type { RequestListener, ServerResponse } from "node:http";
import type { FastifyInstance } from "fastify";
import { errorBodyOf, statusOf } from "../contract/error-status.ts";
import { CodedError } from "../model/errors.ts";
import type { CheckHost } from "./http/hosts.ts";

/** Answers requests that carry their own permission: this address can be open to all. */
export const answerData =
  (data: FastifyInstance): RequestListener =>
  (req, res) =>
    data.routing(req, res);

/**
 * Answers both planes on one address; the path decides which one does. A request to the control plane must be for one of the
 * server's names. It is checked here and not by the app, where a connection that has ended looks like one of a Unix socket.
 */
export const answerBoth =
  (control: FastifyInstance, data: FastifyInstance, checkHost: CheckHost): RequestListener =>
  (req, res) => {
    if (/^\/(?:containers|pumps)\//.test(req.url ?? "")) return data.routing(req, res);
    try {
      checkHost(req.headers);
    } catch (err) {
      if (err instanceof CodedError) return refuse(res, err);
      throw err;
    }
    control.routing(req, res);
  };

/** The rest of the request is not read: the connection ends. */
function refuse(res: ServerResponse, { code, message }: CodedError): void {
  const headers = {
    "Request-Id": randomUUID(),
    "Content-Type": "application/json; charset=utf-8",
    Connection: "close",
  };
  res.writeHead(statusOf(code), headers).end(JSON.stringify(errorBodyOf(code, message)));
}
