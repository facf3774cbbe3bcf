import postgres from "postgres";
import { errnoOf, messageOf } from "../../model/errors.ts";
import { within } from "../../waiting/bounded.ts";

const WITHIN_MS = 10_000;
/** SQLSTATEs of a server that is starting, stopping, or full: it can work later. */
const FOR_NOW = /^(57P0.|53...)$/;
const SQLSTATE = /^[0-9A-Z]{5}$/;

interface Rights {
  database: string;
  mayCreate: boolean;
  isReadOnly: boolean;
}

/**
 * Returns why the server at `url`, the value of `variable`, cannot be used and what to do about it, or undefined if it can. Quotes the server's own
 * message, which never contains the password.
 */
export async function databaseProblem(
  url: string,
  variable: string,
  withinMs = WITHIN_MS,
): Promise<string | undefined> {
  const client = postgres(url, { max: 1, connect_timeout: withinMs / 1000, fetch_types: false, onnotice: () => {} });
  try {
    const [rights] = await within(withinMs, rightsIn(client), () => new Error("late"));
    if (rights?.isReadOnly)
      return `does not accept writes to the database '${rights.database}'; use the primary server`;
    if (rights?.mayCreate) return undefined;
    return `does not let its user create tables in the database '${rights?.database}'; make the user its owner`;
  } catch (err) {
    const code = errnoOf(err) ?? "";
    if (FOR_NOW.test(code)) return undefined;
    if (SQLSTATE.test(code)) {
      return `refuses the connection: ${messageOf(err)}; correct the URL and check it with 'psql "$${variable}"'`;
    }
    const tls = new URL(url).searchParams.has("sslmode") ? " with TLS" : "";
    return `does not answer like a Postgres server${tls}; correct the host, port, and parameters of the URL`;
  } finally {
    await client.end({ timeout: 0 });
  }
}

const rightsIn = (client: postgres.Sql) => client<Rights[]>`
  select current_database() as "database",
    has_database_privilege(current_database(), 'CREATE')
      and coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) as "mayCreate",
    current_setting('transaction_read_only') = 'on' as "isReadOnly"`;
