import type { Login } from "../login-file.ts";
import type { ServiceMetadata } from "../types.ts";
import { factsIn } from "./claims.ts";
import { type DeviceInstructions, type ServiceLogin, tokenByDevice, tokenForService } from "./grants.ts";
import { type IssuerOptions, openIssuer } from "./issuer.ts";
import { withTokens } from "./login-tokens.ts";

export interface LogInOptions extends IssuerOptions {
  /** The service that logs in; without it, a person does. */
  service?: ServiceLogin | undefined;
  /** Shows a person the URL and the code. */
  tell: (instructions: DeviceInstructions) => Promise<void>;
}

/**
 * The fields of the login file for a server that asks for tokens.
 * @throws Error when the issuer refuses the login, or gives out a token without a role on this server
 */
export async function logIn(
  { authority = "", audience, scope, cliAppId, rbacEnabled }: Partial<ServiceMetadata>,
  { service, tell, ...options }: LogInOptions,
): Promise<Login> {
  const wanted = { audience, scope };
  const issuer = await openIssuer(authority, options);
  if (!service && cliAppId === undefined) {
    throw new Error("the server has no logins of people; log in with --service-principal");
  }
  const tokens = service
    ? await tokenForService(issuer, service, wanted)
    : await tokenByDevice(issuer, cliAppId ?? "", wanted, { tell });
  const roles = factsIn(tokens.token).roles;
  if (rbacEnabled && roles.length === 0) {
    throw new Error("the token has no roles: ask the owner of the server for one");
  }
  const principal = service?.clientId ?? tokens.name;
  const { certPath, secretPath } = { certPath: undefined, secretPath: undefined, ...service };
  const login: Login = {
    authority,
    ...(audience && { audience }),
    ...(scope && { scope }),
    ...(principal && { principal }),
    ...(certPath && { certPath }),
    ...(secretPath && { secretPath }),
    ...(!service && cliAppId && { clientId: cliAppId }),
  };
  return withTokens(login, tokens);
}
