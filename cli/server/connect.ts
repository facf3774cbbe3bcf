import type { Client } from "../../client/client.ts";
import { connectFrom } from "../../client/connect.ts";
import type { HttpOptions } from "../../client/http/http.ts";
import type { ArgsDef, CommandContext } from "../line/command.ts";
import { traceRequest, traceResponse } from "./trace.ts";

/** Connects to the server in the login file. @throws NotLoggedInError */
export const connect = <A extends ArgsDef>(context: CommandContext<A>, options?: HttpOptions): Promise<Client> =>
  connectFrom(context.host.config.loginFile, { ...httpOptionsOf(context), ...options });

/** Adds what every command line has: baggage, and requests as log lines. */
export const httpOptionsOf = ({ log, globals }: Pick<CommandContext<ArgsDef>, "log" | "globals">): HttpOptions => ({
  baggage: globals.baggage,
  onRequest: (request) => traceRequest(log, request),
  onResponse: (response) => traceResponse(log, response),
  onRetry: (reason) => log.warn(`Received retryable ${"status" in reason ? "status code" : "error"}`, reason),
});
