import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, importJWK, type JWK, type JWTPayload, SignJWT } from "jose";
import { Provider } from "oidc-provider";
import MemoryAdapter from "oidc-provider/lib/adapters/memory_adapter.js";

export const AUDIENCE = "https://tyger.example.org";

/** The clients of every provider, with their roles, which tokens carry. */
const ROLES: Readonly<Record<string, readonly string[]>> = {
  "owner-app": ["owner", "reader-of-another-program"],
  "contributor-app": ["contributor"],
  "app-without-role": [],
  "certificate-app": ["contributor"],
  ada: ["owner"],
};
export const SECRET = "a secret with + and % and :";

/** A key that the provider signs tokens with; it shows the public half. */
export interface IssuerKey {
  kid: string;
  private: JWK;
}

export async function newKey(kid: string, alg = "RS256"): Promise<IssuerKey> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, private: { ...(await exportJWK(privateKey)), kid, alg, use: "sig" } };
}

/** A token with any header and claims, signed with `key`. */
export async function sign(key: IssuerKey, claims: JWTPayload, header: object = {}): Promise<string> {
  const { alg = "" } = key.private;
  const secret = await importJWK(key.private, alg);
  return new SignJWT(claims).setProtectedHeader({ alg, kid: key.kid, ...header }).sign(secret);
}

/**
 * A provider of OpenID Connect on loopback: the npm package `oidc-provider`, which is certified. It gives out tokens by client
 * credentials and by device codes.
 */
export class IdentityProvider {
  /** The newest first: it signs. */
  keys: IssuerKey[] = [];
  /** Method and path of each request. */
  readonly seen: string[] = [];
  accessTokenSeconds = 3600;
  /** Public keys of `certificate-app`. */
  clientKeys: JWK[] = [];
  #server: Server | undefined;
  #provider: Provider | undefined;
  #port = 0;

  get issuer(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** On the port that it had before, if it was started before. */
  async start(): Promise<this> {
    if (this.keys.length === 0) this.keys = [await newKey("first")];
    this.#server = createServer((req, res) => {
      this.seen.push(`${req.method} ${req.url?.split("?")[0]}`);
      this.#provider?.callback()(req, res);
    });
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
    this.configure();
    return this;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    this.#server?.closeAllConnections();
    await closed;
  }

  /** Makes changes of the fields effective. */
  configure(): void {
    const grants = ["client_credentials"];
    const app = { grant_types: grants, redirect_uris: [], response_types: [] };
    const secret = { client_secret: SECRET, token_endpoint_auth_method: "client_secret_basic" };
    this.#provider = new Provider(this.issuer, {
      jwks: { keys: this.keys.map((key) => key.private) },
      clients: [
        ...["owner-app", "contributor-app", "app-without-role"].map((id) => ({ client_id: id, ...app, ...secret })),
        {
          client_id: "certificate-app",
          ...app,
          token_endpoint_auth_method: "private_key_jwt",
          jwks: { keys: this.clientKeys },
        },
        {
          client_id: "tyger-cli",
          grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
          redirect_uris: [],
          response_types: [],
          token_endpoint_auth_method: "none",
          application_type: "native",
        },
      ],
      // Given, because it warns of its defaults.
      adapter: class extends MemoryAdapter {},
      ttl: {
        AccessToken: () => this.accessTokenSeconds,
        ClientCredentials: () => this.accessTokenSeconds,
        DeviceCode: 600,
        RefreshToken: 86_400,
        Grant: 86_400,
        IdToken: 600,
      },
      cookies: { keys: ["test"] },
      scopes: ["openid", "offline_access", "api"],
      rotateRefreshToken: true,
      issueRefreshToken: async () => true,
      findAccount: (_context: unknown, accountId: string) => ({ accountId, claims: () => ({ sub: accountId }) }),
      extraTokenClaims: (
        _context: unknown,
        { accountId, clientId = "" }: { accountId?: string; clientId?: string },
      ) => ({
        roles: ROLES[accountId ?? clientId],
        ...(accountId !== undefined && { preferred_username: `${accountId}@example.org` }),
      }),
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        deviceFlow: { enabled: true },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => undefined,
          useGrantedResource: () => true,
          getResourceServerInfo: (_context: unknown, resource: string) => ({
            scope: "api",
            audience: resource,
            accessTokenTTL: this.accessTokenSeconds,
            accessTokenFormat: "jwt",
            jwt: { sign: { alg: this.keys[0]?.private.alg } },
          }),
        },
      },
    });
  }

  /** A token for a client, as the provider gives it out. */
  async tokenFor(client: string, audience = AUDIENCE): Promise<string> {
    const credentials = [client, SECRET].map(encodeURIComponent).join(":");
    const answer = await fetch(`${this.issuer}/token`, {
      method: "POST",
      headers: { authorization: `Basic ${Buffer.from(credentials).toString("base64")}` },
      body: new URLSearchParams({ grant_type: "client_credentials", resource: audience }),
    });
    const body = (await answer.json()) as { access_token?: string };
    if (!body.access_token) throw new Error(`no token: ${JSON.stringify(body)}`);
    return body.access_token;
  }

  /** Answers for a person, who has the code that the command line printed. */
  async answerDevice(userCode: string, answer: { accountId: string } | "deny"): Promise<void> {
    const code = await this.#provider?.DeviceCode.findByUserCode(userCode.replaceAll("-", ""));
    if (!this.#provider || !code) throw new Error(`there is no code '${userCode}'`);
    if (answer === "deny") {
      code.error = "access_denied";
    } else {
      const { scope = "", resource = "" } = code.params;
      const grant = new this.#provider.Grant({ ...answer, clientId: code.clientId });
      grant.addOIDCScope(scope);
      grant.addResourceScope(resource, "api");
      Object.assign(code, { ...answer, scope, resource, grantId: await grant.save(), authTime: 1 });
    }
    await code.save();
  }
}
