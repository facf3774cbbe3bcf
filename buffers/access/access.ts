import { readFile } from "node:fs/promises";
import { CodedError } from "../../model/errors.ts";
import { poll } from "../../waiting/bounded.ts";
import { every, retry } from "../../waiting/retry.ts";

/** Provides the signed URL of a buffer, and another one when the first was refused. */
export interface AccessSource {
  /** The user passed the URL in, so nothing shows yet that its server exists. */
  isGiven?: true;
  url(): Promise<string>;
  /** A URL other than `refused`; one refresh covers all refused requests. @throws when there is none */
  refresh(refused: string, signal?: AbortSignal): Promise<string>;
}

/** The server's refusal does not distinguish the two. */
export const INVALID_URL = "invalid access URL: it has expired or was changed; ask for a new one";

const FILE_POLL_MS = 30_000;
const FILE_WITHIN_MS = 300_000;
const SERVER_WAIT_MS = 5_000;
const SERVER_TRIES = 20;

/** A URL that was passed in: it cannot be renewed. */
export function fromUrl(url: string): AccessSource {
  return {
    isGiven: true,
    url: async () => url,
    refresh: async () => {
      throw new CodedError("AuthenticationFailed", INVALID_URL);
    },
  };
}

/** A file that contains a URL and is rewritten before the URL expires. */
export function fromFile(path: string): AccessSource {
  const read = async (): Promise<string> => (await readFile(path, "utf8")).trim();
  const source = shared(read, async (refused, signal) => {
    const url = await poll(async () => differing(await read(), refused), {
      everyMs: FILE_POLL_MS,
      withinMs: FILE_WITHIN_MS,
      signal,
    });
    signal?.throwIfAborted();
    if (url !== undefined) return url;
    throw new CodedError("AuthenticationFailed", `The access URL in '${path}' has expired and was not renewed`);
  });
  return { ...source, isGiven: true };
}

const differing = (url: string, refused: string): string | undefined => (url === refused ? undefined : url);

/** A server that issues URLs, `POST /buffers/{id}/access`. */
export const fromServer = (askServer: () => Promise<string>): AccessSource =>
  shared(askServer, (_refused, signal) =>
    retry(askServer, {
      pauses: every(SERVER_WAIT_MS),
      tries: SERVER_TRIES,
      passes: (err) => !(err instanceof CodedError && err.code === "NotFound"),
      signal,
    }),
  );

function shared(
  first: () => Promise<string>,
  renew: (refused: string, signal: AbortSignal | undefined) => Promise<string>,
): AccessSource {
  let current: Promise<string> | undefined;
  let renewing: Promise<string> | undefined;
  return {
    url: () => {
      current ??= first();
      current.catch(() => {
        current = undefined;
      });
      return current;
    },
    async refresh(refused, signal) {
      const known = await current;
      if (known !== undefined && known !== refused) return known;
      renewing ??= renew(refused, signal).finally(() => {
        renewing = undefined;
      });
      current = renewing;
      return renewing;
    },
  };
}
