import { CodedError } from "../model/errors.ts";
import { nanosecondsOf } from "../model/time/timestamp.ts";
import { isStorable } from "./storable.ts";

/** The place of a run in its list: newest first, the higher id before the lower. */
export interface RunPlace {
  createdAt: string;
  id: number;
}

/** An opaque token of the last item of a page. */
export const tokenOf = (place: RunPlace | string): string =>
  Buffer.from(JSON.stringify(typeof place === "string" ? place : [place.createdAt, place.id])).toString("base64url");

/** @throws CodedError InvalidInput when no list of runs gave it out. */
export function runPlaceOf(token: string): RunPlace {
  const place = parsed(token);
  if (Array.isArray(place) && place.length === 2) {
    const [createdAt, id]: unknown[] = place;
    const isInstant = typeof createdAt === "string" && nanosecondsOf(createdAt) !== undefined;
    if (isInstant && typeof id === "number" && Number.isSafeInteger(id)) return { createdAt, id };
  }
  throw invalid(token);
}

/** The name after which a list of codespecs goes on. @throws CodedError InvalidInput when none gave it out. */
export function namePlaceOf(token: string): string {
  const place = parsed(token);
  if (typeof place === "string" && isStorable(place)) return place;
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
