import { parseServerUrl } from "./address.ts";
import { type Client, createClient } from "./client.ts";
import { NotLoggedInError } from "./errors.ts";
import type { HttpOptions } from "./http/http.ts";
import { type Login, readLogin } from "./login-file.ts";

/** @throws NotLoggedInError when `loginFile` names no server, or there is no such file */
export async function connectFrom(loginFile: string | undefined, options: HttpOptions = {}): Promise<Client> {
  const login = loginFile === undefined ? undefined : await readLogin(loginFile);
  if (loginFile === undefined || !login?.serverUrl) throw new NotLoggedInError();
  return createClient(parseServerUrl(login.serverUrl), { ...(await trustOf(loginFile, login, options)), ...options });
}

/** The certificates and the token of a login. A login without them, like that of a local server, loads nothing for them. */
async function trustOf(
  loginFile: string,
  { authority, tlsCaCertificates }: Login,
  { onRequest }: HttpOptions,
): Promise<Pick<HttpOptions, "ca" | "token">> {
  const ca =
    tlsCaCertificates === undefined
      ? undefined
      : (await import("./auth/certificates.ts")).certificatesOf(tlsCaCertificates);
  if (authority === undefined) return { ca };
  const { loginTokens } = await import("./auth/login-tokens.ts");
  return { ca, token: loginTokens(loginFile, { ca, onRequest }) };
}
