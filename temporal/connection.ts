import { Client, Connection } from "@temporalio/client";
import { every, retry } from "../waiting/retry.ts";

export type { Client };

/** The server behind every connection that we open: the API's, the worker's and its native one. */
export interface TemporalTarget {
  address: string;
  namespace: string;
  /** Temporal Cloud; with it the connection uses TLS. */
  apiKey?: string | undefined;
}

const RETRY_AFTER_MS = 200;
/** gRPC's own default of two minutes would keep us away from a server that is back. */
const MAX_RECONNECT_MS = 2000;

/** The same options for a client and for a native connection of `@temporalio/worker`. */
export const connectionOptionsOf = ({ address, apiKey }: TemporalTarget) => ({
  address,
  ...(apiKey !== undefined && { apiKey, tls: true }),
});

/** A client that connects with its first call, so that the API starts and answers while Temporal is down. */
export function openClient(target: TemporalTarget): Client {
  const connection = Connection.lazy({
    ...connectionOptionsOf(target),
    channelArgs: { "grpc.max_reconnect_backoff_ms": MAX_RECONNECT_MS },
    // The client's own retries continue after `close()` and end the process with an uncaught error; ours do not.
    interceptors: [],
  });
  return new Client({ connection, namespace: target.namespace });
}

/** A client of a server that answers. @throws Error when it does not answer `withinMs` */
export async function connectClient(target: TemporalTarget, withinMs: number): Promise<Client> {
  const client = openClient(target);
  const untilMs = Date.now() + withinMs;
  const ask = () => client.withDeadline(untilMs, () => client.workflowService.getSystemInfo({}));
  try {
    await retry(ask, { pauses: every(RETRY_AFTER_MS), untilMs });
    return client;
  } catch (err) {
    await client.connection.close();
    throw new Error(`Temporal at '${target.address}' did not answer within ${withinMs / 1000} s`, { cause: err });
  }
}
