import { createHash, type Hash } from "node:crypto";
import { LOCAL_USER } from "../../model/caller.ts";
import type { OwnedKey } from "../../model/ports/records.ts";

/**
 * The stored form of an idempotency key. That of the local user is the hash of its text alone, as in rows that are older than
 * other callers; theirs has another form, so that no text of the local user has the hash of another caller's key.
 */
export function keyHashOf({ owner, text }: OwnedKey): string {
  if (owner === LOCAL_USER.subject) return sha256(text).digest("hex");
  return sha256(JSON.stringify([owner, text])).digest("base64url");
}

const sha256 = (text: string): Hash => createHash("sha256").update(text);
