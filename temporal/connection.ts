import { Client, Connection } from "@temporalio/client";
import { every, retry } from "../waiting/retry.ts";
import type { TemporalTarget } from "./target.ts";
import { tlsProblemOf } from "./tls-problem.ts";

export type { Client };

const RETRY_AFTER_MS = 200;
/** gRPC's own default of two minutes would keep us away from a server that is back. */
const MAX_RECONNECT_MS = 2000;

/** The same options for a client and for a native connection of `@temporalio/worker`. */
export const connectionOptionsOf = ({ address, apiKey, tls }: TemporalTarget) => ({
  address,
  ...(apiKey !== undefined && { apiKey, tls: true }),
  ...(tls && {
    tls: {
      ...(tls.ca && { serverRootCACertificate: tls.ca }),
      ...(tls.client && { clientCertPair: { crt: tls.client.certificate, key: tls.client.key } }),
      ...(tls.serverName !== undefined && { serverNameOverride: tls.serverName }),
    },
  }),
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

/** A client of a server that answers. @throws Error as `untilAnswer` */
export async function connectClient(target: TemporalTarget, withinMs: number): Promise<Client> {
  const client = openClient(target);
  try {
    await untilAnswer(client, target, { withinMs });
    return client;
  } catch (err) {
    await client.connection.close();
    throw err;
  }
}

/**
 * Waits for a server that starts.
 * @throws Error when it does not answer `withinMs`; at once when TLS is the reason, which no waiting changes
 */
export async function untilAnswer(
  client: Client,
  target: TemporalTarget,
  { withinMs, signal }: { withinMs: number; signal?: AbortSignal },
): Promise<void> {
  const untilMs = Date.now() + withinMs;
  const usesTls = target.tls !== undefined || target.apiKey !== undefined;
  let problem: string | undefined;
  const ask = async (): Promise<void> => {
    try {
      await client.withDeadline(untilMs, () => client.workflowService.getSystemInfo({}));
    } catch (err) {
      if (usesTls) problem = await tlsProblemOf(target);
      throw err;
    }
  };
  try {
    await retry(ask, { pauses: every(RETRY_AFTER_MS), untilMs, signal, passes: () => problem === undefined });
  } catch (err) {
    signal?.throwIfAborted();
    problem ??= usesTls ? undefined : await tlsProblemOf(target);
    const words = problem === undefined ? `did not answer within ${withinMs / 1000} s` : `cannot be used: ${problem}`;
    throw new Error(`Temporal at '${target.address}' ${words}`, { cause: err });
  }
}
