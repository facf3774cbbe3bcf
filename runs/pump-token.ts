import { createHash, randomBytes } from "node:crypto";

/** So many that a token cannot be guessed. */
const TOKEN_BYTES = 32;

/** A secret with which a pump shows our API whose it is. It is given to that pump alone, and we keep its hash. */
export const newPumpToken = (): string => randomBytes(TOKEN_BYTES).toString("base64url");

/** A token has no pattern that could be guessed from its hash, so no salt and no slow function is needed. */
export const hashOfToken = (token: string): string => createHash("sha256").update(token).digest("base64url");
