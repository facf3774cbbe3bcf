import { connectionFailureOf } from "../model/errno.ts";
import { CodedError, errnoOf } from "../model/errors.ts";
import { within } from "../waiting/bounded.ts";

/** SQLSTATE classes and codes after which the same call can succeed: connections, resources, shutdown, conflicts. */
const PASSING_STATE = /^(08...|53...|57014|57P0.|58030|25006|40001|40P01|55P03|25P03)$/;
/** Codes of the driver for a connection that is lost, which has no SQLSTATE. */
const LOST_CONNECTION = /^(CONNECT_TIMEOUT|CONNECTION_\w+)$/;
/** Values that the column cannot hold: too large a number, a date out of range, too long an index entry. */
const UNSTORABLE_STATE = /^(22003|22008|22021|22P05|54000)$/;
/** A pooler does not know our session settings, or has given a statement to a connection that does not know it. */
const NEEDS_DIRECT_URL =
  "DATABASE_URL seems to lead to a connection pooler; set DATABASE_DIRECT_URL to the URL of the database itself, too";
/** Codes and classes of refusals that the user can fix, because they come from DATABASE_URL. */
const REFUSALS: Record<string, string> = {
  "08P01": NEEDS_DIRECT_URL,
  "26000": NEEDS_DIRECT_URL,
  "42P05": NEEDS_DIRECT_URL,
  "28": "The database refuses the user or the password of DATABASE_URL",
  "3D": "The database that DATABASE_URL names does not exist on its server",
  "42": "The database refuses the statement; is this user allowed to create tables?",
};
/** Longer than any statement can take: after that, the network has lost the question or the answer. */
const ANSWER_WITHIN_MS = 45_000;

/** The server does not answer, or only for now with an error. */
export const unavailable = (cause?: unknown): CodedError =>
  new CodedError("Unavailable", "The database is not available", { cause });

/**
 * The error that leaves this room instead of `thrown`: the messages, details and fields of Drizzle and of the driver can contain
 * query parameters, so only codes and names of the schema are kept.
 */
function translated(thrown: unknown): Error {
  if (thrown instanceof CodedError) return thrown;
  const failure = driverFailureOf(thrown);
  const code = errnoOf(failure);
  // Neither the driver nor the server has named it: a mistake in our own code, which holds no parameters.
  if (code === undefined) return failure === thrown && thrown instanceof Error ? thrown : new Error("A query failed");
  const facts = Object.fromEntries(
    ["code", "constraint_name", "table_name", "column_name", "routine"]
      .map((key) => [key, Reflect.get(failure as object, key)])
      .filter(([, value]) => typeof value === "string"),
  );
  const refusal = REFUSALS[code] ?? REFUSALS[code.slice(0, 2)];
  const isLost = LOST_CONNECTION.test(code) || connectionFailureOf(failure) !== undefined;
  if ((PASSING_STATE.test(code) && refusal === undefined) || isLost) return unavailable(facts);
  if (UNSTORABLE_STATE.test(code)) {
    return new CodedError("InvalidInput", "A value is too large or too long to be stored", { cause: facts });
  }
  return new Error(`${refusal ?? "A query failed"} (SQLSTATE ${code})`, { cause: facts });
}

/** Drizzle wraps what the driver throws, and `code` is on the inner error only. */
function driverFailureOf(thrown: unknown): unknown {
  const hasCause = thrown instanceof Error && thrown.cause instanceof Error && errnoOf(thrown) === undefined;
  return hasCause ? driverFailureOf(thrown.cause) : thrown;
}

/** `work`, or `Unavailable` when no answer comes within `withinMs`; the driver itself would wait forever. */
export async function answered<T>(work: Promise<T>, withinMs = ANSWER_WITHIN_MS): Promise<T> {
  try {
    return await within(withinMs, work, unavailable);
  } catch (err) {
    throw translated(err);
  }
}

/** The same port, whose methods throw translated errors and answer in bounded time. */
export function guarded<T extends object>(port: T): T {
  const methods = Object.entries(port).map(([name, method]: [string, (...given: unknown[]) => Promise<unknown>]) => [
    name,
    async (...given: unknown[]) => answered(method(...given)),
  ]);
  // The same keys with methods of the same shape.
  return Object.fromEntries(methods) as T;
}
