import { CodedError } from "../model/errors.ts";
import { nanosecondsOf } from "../model/time/timestamp.ts";
import { isStorable } from "./storable.ts";

/** The cursor of a list of runs: newest first, the higher id before the lower. */
export interface RunCursor {
  createdAt: string;
  id: number;
}

/** An opaque token of the last item of a page. */
export const tokenOf = (cursor: RunCursor | string): string =>
  Buffer.from(JSON.stringify(typeof cursor === "string" ? cursor : [cursor.createdAt, cursor.id])).toString(
    "base64url",
  );

/** @throws CodedError InvalidInput for a token of another kind */
export function runCursorOf(token: string): RunCursor {
  const cursor = parsed(token);
  if (Array.isArray(cursor) && cursor.length === 2) {
    const [createdAt, id]: unknown[] = cursor;
    const isInstant = typeof createdAt === "string" && nanosecondsOf(createdAt) !== undefined;
    if (isInstant && typeof id === "number" && Number.isSafeInteger(id)) return { createdAt, id };
  }
  throw invalid(token);
}

/** The name after which a list of codespecs continues. @throws CodedError InvalidInput for a token of another kind */
export function nameCursorOf(token: string): string {
  const cursor = parsed(token);
  if (typeof cursor === "string" && isStorable(cursor)) return cursor;
  throw invalid(token);
}

function parsed(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token, "base64url").toString());
  } catch {
    return undefined;
  }
}

const invalid = (token: string): CodedError =>
  new CodedError("InvalidInput", `The continuation token '${token}' is not valid`);
