import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoWordsOf } from "../../model/errno.ts";
import { messageOf } from "../../model/errors.ts";
import { assertionOf } from "./assertion.ts";
import { factsIn, nameIn } from "./claims.ts";
import type { Answer, Issuer } from "./issuer.ts";

/** Where a token is for. */
export interface Wanted {
  audience?: string | undefined;
  /** Asked for in place of the audience. */
  scope?: string | undefined;
}

export interface Tokens {
  token: string;
  /** In Unix seconds. */
  expiresAt: number;
  refreshToken?: string | undefined;
  /** The person, or undefined if the tokens have no name. */
  name?: string | undefined;
}

/** The id of a service, and the file with its secret or with its certificate and key. */
export type ServiceLogin = { clientId: string } & ({ secretPath: string } | { certPath: string });

/** The issuer refused. `code` is its word for the reason. */
export class LoginRefused extends Error {
  override readonly name = "LoginRefused";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** A client without a scope of its own asks for the audience, which some issuers know as `resource` and others as `audience`. */
const targetOf = ({ audience, scope }: Wanted): Record<string, string | undefined> =>
  scope === undefined
    ? { audience, resource: audience !== undefined && URL.canParse(audience) ? audience : undefined }
    : {};

/** A token for a service. @throws LoginRefused, or Error for a file that cannot be used */
export async function tokenForService(issuer: Issuer, login: ServiceLogin, wanted: Wanted): Promise<Tokens> {
  const { clientId } = login;
  const form = { grant_type: "client_credentials", scope: wanted.scope, ...targetOf(wanted) };
  if ("certPath" in login) {
    const pem = await contentOf(login.certPath, "certificate file");
    const assertion = usable(login.certPath, () => assertionOf(clientId, pem, issuer.tokenEndpoint, Date.now()));
    const proof = {
      client_id: clientId,
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: assertion,
    };
    return tokensIn(await issuer.post(issuer.tokenEndpoint, { ...form, ...proof }));
  }
  // Editors end a file with a line break, which no secret has.
  const secret = (await contentOf(login.secretPath, "secret file")).replace(/\r?\n$/, "");
  if (secret === "") throw new Error(`the secret file '${login.secretPath}' is empty`);
  if (!issuer.takesBasic) {
    const proof = { client_id: clientId, client_secret: secret };
    return tokensIn(await issuer.post(issuer.tokenEndpoint, { ...form, ...proof }));
  }
  const credentials = [clientId, secret].map((text) => new URLSearchParams([[text, ""]]).toString().slice(0, -1));
  const basic = `Basic ${Buffer.from(credentials.join(":")).toString("base64")}`;
  return tokensIn(await issuer.post(issuer.tokenEndpoint, form, basic));
}

/** A new token for a person who has logged in. @throws LoginRefused when that login has ended */
export async function tokenByRefresh(
  issuer: Issuer,
  { clientId, refreshToken }: { clientId: string; refreshToken: string },
  wanted: Wanted,
): Promise<Tokens> {
  const form = { grant_type: "refresh_token", client_id: clientId, refresh_token: refreshToken, ...targetOf(wanted) };
  const tokens = tokensIn(await issuer.post(issuer.tokenEndpoint, form));
  // An issuer that does not rotate them sends none.
  return { ...tokens, refreshToken: tokens.refreshToken ?? refreshToken };
}

/** The page that a person opens to log in, and the code to enter there. */
export interface DeviceInstructions {
  url: string;
  code: string;
}

const INTERVAL_SECONDS = { least: 1, usual: 5, most: 60 } as const;
const MOST_SECONDS = 1800;

/**
 * A token for a person, who logs in with a browser on any machine.
 * @param tell shows the person the URL and the code
 * @see https://www.rfc-editor.org/rfc/rfc8628
 * @throws LoginRefused, also when the code expires
 */
export async function tokenByDevice(
  issuer: Issuer,
  clientId: string,
  wanted: Wanted,
  {
    tell,
    pause = sleep,
  }: { tell: (instructions: DeviceInstructions) => Promise<void>; pause?: (ms: number) => Promise<unknown> },
): Promise<Tokens> {
  if (issuer.deviceEndpoint === undefined) {
    throw new Error("the identity provider has no logins by device code; log in with --service-principal");
  }
  const scope = ["openid", "offline_access", ...(wanted.scope === undefined ? [] : [wanted.scope])].join(" ");
  const form = { client_id: clientId, scope, ...targetOf(wanted) };
  const answer = await issuer.post(issuer.deviceEndpoint, form);
  const { device_code: deviceCode, user_code: code, verification_uri: url } = answer.body;
  if (typeof deviceCode !== "string" || typeof code !== "string" || typeof url !== "string") throw refusalIn(answer);
  await tell({ url, code });
  const { expires_in: lifeSeconds, interval } = answer.body;
  const endMs = Date.now() + Math.min(secondsIn(lifeSeconds) ?? MOST_SECONDS, MOST_SECONDS) * 1000;
  const { least, usual, most } = INTERVAL_SECONDS;
  let pauseSeconds = Math.min(Math.max(secondsIn(interval) ?? usual, least), most);
  const poll = {
    grant_type: "urn:ietf:params:oauth:grant-type:device_code",
    client_id: clientId,
    device_code: deviceCode,
    ...targetOf(wanted),
  };
  for (;;) {
    await pause(pauseSeconds * 1000);
    const polled = await issuer.post(issuer.tokenEndpoint, poll).catch((err: unknown) => {
      // The person is at work meanwhile: an issuer that is away for a moment is asked again.
      if (Date.now() >= endMs) throw err;
      return undefined;
    });
    if (polled?.status === 200) return tokensIn(polled);
    const reason = polled?.body["error"];
    const isAway = polled === undefined || polled.status === 429 || polled.status >= 500;
    if (reason === "slow_down") pauseSeconds = Math.min(pauseSeconds + usual, most);
    else if (!isAway && reason !== "authorization_pending") throw refusalIn(polled);
    if (Date.now() >= endMs)
      throw new LoginRefused("expired_token", "the code expired before it was used; log in again");
  }
}

function tokensIn(answer: Answer): Tokens {
  const { access_token: token, refresh_token: refreshToken, id_token: idToken, expires_in: life } = answer.body;
  if (answer.status !== 200 || typeof token !== "string") throw refusalIn(answer);
  const seconds = secondsIn(life) ?? 0;
  return {
    token,
    // The claim decides on the server.
    expiresAt: factsIn(token).expiresAt ?? Math.floor(Date.now() / 1000) + seconds,
    ...(typeof refreshToken === "string" && { refreshToken }),
    name: nameIn(typeof idToken === "string" ? [idToken, token] : [token]),
  };
}

const secondsIn = (value: unknown): number | undefined => {
  const seconds = Number(value);
  return value === undefined || !Number.isFinite(seconds) || seconds < 0 ? undefined : seconds;
};

/** The words of the issuer, which no client chose; a secret is not among them. */
function refusalIn({ status, body }: Answer): LoginRefused {
  const { error, error_description: description } = body;
  const code = typeof error === "string" ? error : `status ${status}`;
  const words = typeof description === "string" ? `${code}: ${description}` : code;
  const clean = words.replaceAll(/\p{Cc}/gu, " ").slice(0, 500);
  return new LoginRefused(code, `the identity provider refused the login: ${clean}`);
}

async function contentOf(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (err) {
    throw new Error(`the ${what} '${path}' cannot be read: ${errnoWordsOf(err, "reading") ?? messageOf(err)}`, {
      cause: err,
    });
  }
}

/** The library's own words can be about the content. */
function usable(path: string, make: () => string): string {
  try {
    return make();
  } catch (err) {
    const reason =
      err instanceof Error && !("code" in err) ? err.message : "it must have a certificate and its key, as PEM";
    throw new Error(`the certificate file '${path}' cannot be used: ${reason}`, { cause: err });
  }
}
