import { parseServerUrl } from "./address.ts";
import { type Client, createClient } from "./client.ts";
import { NotLoggedInError } from "./errors.ts";
import type { HttpOptions } from "./http/http.ts";
import { readLogin } from "./login-file.ts";

/** @throws NotLoggedInError when `loginFile` names no server, or there is no such file */
export async function connectFrom(loginFile: string | undefined, options: HttpOptions = {}): Promise<Client> {
  const login = loginFile === undefined ? undefined : await readLogin(loginFile);
  if (!login?.serverUrl) throw new NotLoggedInError();
  return createClient(parseServerUrl(login.serverUrl), options);
}
