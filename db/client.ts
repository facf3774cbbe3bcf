import type { PgDatabase } from "drizzle-orm/pg-core";
import { drizzle, type PostgresJsQueryResultHKT } from "drizzle-orm/postgres-js";
import postgres from "postgres";

/** A pool or one of its transactions. */
export type Db = PgDatabase<PostgresJsQueryResultHKT>;

const STATEMENT_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_SECONDS = 5;
/** The driver's own pause between attempts grows to 20 s; a server that is back should be found at once. */
const MAX_BACKOFF_SECONDS = 0.5;

/** A database server, or a pooler in front of it that hands each transaction to any of its own connections. */
export interface DatabaseServer {
  url: string;
  isPooler: boolean;
}

interface ClientOptions {
  max: number;
  /** 0: no limit. */
  statementTimeoutMs?: number;
  onnotify?: (channel: string, payload: string) => void;
  onclose?: () => void;
}

/** A client of the driver; the function that opens it must end it with {@link endClient}. */
export function openClient(
  { url, isPooler }: DatabaseServer,
  { max, statementTimeoutMs, ...hooks }: ClientOptions,
): postgres.Sql {
  // `onnotify` is read by the driver, and missing in its types.
  return postgres(url, {
    max,
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    backoff: (retries: number) => Math.min(0.05 * (retries + 1), MAX_BACKOFF_SECONDS),
    // No arrays go in or out, so there is nothing to look up at each connection.
    fetch_types: false,
    // The next transaction can have another connection, which does not know the statement.
    prepare: !isPooler,
    onnotice: () => {},
    ...hooks,
    connection: {
      application_name: "tyger",
      TimeZone: "UTC",
      DateStyle: "ISO",
      // Poolers refuse settings that they do not know.
      ...(isPooler
        ? {}
        : {
            statement_timeout: statementTimeoutMs ?? STATEMENT_TIMEOUT_MS,
            idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
          }),
    },
  } as postgres.Options<Record<string, never>>);
}

/** Without a limit the driver's `end` never settles after a dropped connection (postgres.js #1097). */
export const endClient = (client: postgres.Sql): Promise<void> => client.end({ timeout: 2 });

/** Drizzle changes how the client reads and writes dates and JSON: from here on the client is for Drizzle alone. */
export const drizzleOf = (client: postgres.Sql): Db => drizzle(client);
