import { createHash } from "node:crypto";
import { poll } from "../../waiting/bounded.ts";
import { tryLock } from "../../waiting/kernel-lock.ts";
import { factsIn } from "./claims.ts";
import type { TokenProvider } from "../http/http.ts";
import { type Login, readLogin, type TokenCache } from "../login-file.ts";
import { writeLogin } from "../login-writer.ts";
import { LoginRefused, tokenByRefresh, tokenForService, type Tokens } from "./grants.ts";
import { type IssuerOptions, openIssuer } from "./issuer.ts";

/**
 * A token is renewed when it has less than this, or less than half of its life: a request can take a while, and clocks differ. The
 * tokens of some issuers live for five minutes.
 */
const RENEW_BEFORE_SECONDS = 600;
/** A token with less than this is not worth a request. */
const LEAST_SECONDS = 10;
/** Another process renews the same login in less. */
const LOCK_MS = 30_000;

/** Where the system has no such locks. */
const WITHOUT_LOCK: AsyncDisposable = { [Symbol.asyncDispose]: async () => {} };

const secondsLeft = ({ lastToken, lastTokenExpiration = 0 }: Login): number =>
  lastToken === undefined ? -Infinity : lastTokenExpiration - Date.now() / 1000;

/** Whether the token will do for now. */
function isFresh(login: Login): boolean {
  const { issuedAt = -Infinity, expiresAt = Infinity } = factsIn(login.lastToken ?? "");
  return secondsLeft(login) >= Math.min(RENEW_BEFORE_SECONDS, (expiresAt - issuedAt) / 2);
}

/** The fields of the login file that hold the tokens. */
export const withTokens = (login: Login, { token, expiresAt, refreshToken }: Tokens): Login => ({
  ...login,
  lastToken: token,
  lastTokenExpiration: expiresAt,
  ...(refreshToken !== undefined && {
    fullCache: Buffer.from(JSON.stringify({ refreshToken } satisfies TokenCache)).toString("base64"),
  }),
});

/**
 * The token of the login file, renewed in good time. Several processes renew a login one after the other: an issuer that gives
 * each refresh token once ends the login of a client that uses one twice.
 * @throws Error when the login has ended or the issuer is away, and the token has expired
 */
export function loginTokens(path: string, options: IssuerOptions): TokenProvider {
  let known: Login = {};
  let renewing: Promise<Login> | undefined;
  return async () => {
    if (!isFresh(known)) {
      renewing ??= renewed(path, options).finally(() => (renewing = undefined));
      known = await renewing;
    }
    return known.lastToken ?? "";
  };
}

async function renewed(path: string, options: IssuerOptions): Promise<Login> {
  const stored = (await readLogin(path)) ?? {};
  if (isFresh(stored)) return stored;
  const lock = `login-${createHash("sha256").update(path).digest("hex").slice(0, 32)}`;
  // A process that holds the lock for longer hangs: this one must not.
  const take = () => tryLock(lock).catch(() => WITHOUT_LOCK);
  await using _held = await poll(take, { everyMs: 50, withinMs: LOCK_MS, signal: options.signal });
  const login = (await readLogin(path)) ?? {};
  if (isFresh(login)) return login;
  try {
    const next = withTokens(login, await tokensFor(login, options));
    store(path, next);
    return next;
  } catch (err) {
    options.signal?.throwIfAborted();
    if (secondsLeft(login) > LEAST_SECONDS) return login;
    throw err;
  }
}

/** A service can ask again at any time; a person whose new refresh token is lost cannot. */
function store(path: string, login: Login): void {
  try {
    writeLogin(path, login);
  } catch (err) {
    if (login.fullCache !== undefined) throw err;
  }
}

async function tokensFor(login: Login, options: IssuerOptions): Promise<Tokens> {
  const { authority = "", audience, scope, principal, clientId, certPath, secretPath } = login;
  const wanted = { audience, scope };
  const file = certPath ? { certPath } : secretPath ? { secretPath } : undefined;
  if (file && principal) {
    return tokenForService(await openIssuer(authority, options), { clientId: principal, ...file }, wanted);
  }
  const refreshToken = refreshTokenIn(login);
  if (clientId === undefined || refreshToken === undefined) throw new Error(ENDED);
  try {
    return await tokenByRefresh(await openIssuer(authority, options), { clientId, refreshToken }, wanted);
  } catch (err) {
    if (err instanceof LoginRefused && err.code === "invalid_grant") throw new Error(ENDED, { cause: err });
    throw err;
  }
}

const ENDED = "your login has expired; run 'tyger login' again";

/** Other clients have caches of other forms. */
function refreshTokenIn({ fullCache = "" }: Login): string | undefined {
  try {
    const cache = JSON.parse(Buffer.from(fullCache, "base64").toString("utf8")) as TokenCache | null;
    return typeof cache?.refreshToken === "string" ? cache.refreshToken : undefined;
  } catch {
    return undefined;
  }
}
