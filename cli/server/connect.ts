import type { Client } from "../../client/client.ts";
import { connectFrom } from "../../client/connect.ts";
import type { HttpOptions } from "../../client/http/http.ts";
import type { ArgsDef, CommandContext } from "../line/command.ts";
import { traceRequest, traceResponse } from "./trace.ts";

/** The client of the server that the login file names. @throws NotLoggedInError */
export const connect = <A extends ArgsDef>(context: CommandContext<A>, options?: HttpOptions): Promise<Client> =>
  connectFrom(context.host.config.loginFile, { ...httpOptionsOf(context), ...options });

/** A client of the command line: its baggage, and its requests as log lines. */
export const httpOptionsOf = ({ log, globals }: Pick<CommandContext<ArgsDef>, "log" | "globals">): HttpOptions => ({
  baggage: globals.baggage,
  onRequest: (request) => traceRequest(log, request),
  onResponse: (response) => traceResponse(log, response),
  onRetry: (reason) => log.warn(`Received retryable ${"status" in reason ? "status code" : "error"}`, reason),
});
