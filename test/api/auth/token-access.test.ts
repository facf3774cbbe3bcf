import { createHmac, createPublicKey, sign as signBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTokenAccess } from "../../../api/auth/token-access.ts";
import { createFakeApi, type FakeApi } from "../../fakes/api.ts";
import { AUDIENCE, IdentityProvider, type IssuerKey, newKey, sign } from "../../fakes/identity-provider.ts";

let provider: IdentityProvider;
let key: IssuerKey;
let stranger: IssuerKey;
beforeAll(async () => {
  provider = await new IdentityProvider().start();
  key = provider.keys[0] as IssuerKey;
  stranger = await newKey("stranger");
  provider.keys.push(await newKey("second"));
  provider.configure();
});
afterAll(() => provider.stop());

let api: FakeApi;
let close: () => Promise<void>;
let logged: object[];
beforeEach(() => {
  logged = [];
  const note = (facts: object): void => void logged.push(facts);
  const authority = { issuer: provider.issuer, audience: AUDIENCE, clientId: "tyger-cli" };
  const opened = createTokenAccess(authority, { isLocal: () => false, log: { info: note, warn: note } });
  close = opened.close;
  api = createFakeApi({ access: opened.access });
});
afterEach(async () => {
  await Promise.all([api.app.close(), close()]);
});

const seconds = (from = 0): number => Math.floor(Date.now() / 1000) + from;
const good = () => ({
  iss: provider.issuer,
  aud: AUDIENCE,
  sub: "ada",
  exp: seconds(60),
  roles: ["contributor"],
});
const text = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
/** A token with a signature of the test's own making. */
const forge = (header: object, claims: object, signature: (signed: string) => string): string => {
  const signed = `${text(header)}.${text(claims)}`;
  return `${signed}.${signature(signed)}`;
};
const publicPem = (): string =>
  createPublicKey({ key: key.private, format: "jwk" }).export({ type: "spki", format: "pem" }).toString();
const hmacWith = (secret: string) => (signed: string) =>
  createHmac("sha256", secret).update(signed).digest("base64url");

const rsaSignature = (signed: string): string =>
  signBytes("sha256", Buffer.from(signed), { key: key.private as never, format: "jwk" }).toString("base64url");

const asking = (authorization: string | undefined, url = "/runs/abc", method: "GET" | "POST" | "PUT" = "GET") =>
  api.app.inject({ method, url, headers: { ...(authorization !== undefined && { authorization }) } });

describe("a request without a valid token is refused before anything else about it is looked at", () => {
  const cases: [string, string, () => string | undefined | Promise<string | undefined>][] = [
    ["no header", "there is no token", () => undefined],
    ["an empty header", "there is no token", () => ""],
    ["no token", "there is no token", () => "Bearer"],
    ["another scheme", "there is no token", async () => `Basic ${await sign(key, good())}`],
    ["no JWT", "Invalid Compact JWS", () => "Bearer abc"],
    [
      "two parts",
      "Invalid Compact JWS",
      async () => `Bearer ${(await sign(key, good())).split(".").slice(0, 2).join(".")}`,
    ],
    ["five parts", "Invalid Compact JWS", async () => `Bearer ${await sign(key, good())}.a.b`],
    [
      "alg none",
      '"alg" (Algorithm) Header Parameter value not allowed',
      () => `Bearer ${forge({ alg: "none" }, good(), () => "")}`,
    ],
    [
      "alg none with a kid",
      '"alg" (Algorithm) Header Parameter value not allowed',
      () => `Bearer ${forge({ alg: "none", kid: key.kid }, good(), () => "")}`,
    ],
    [
      "alg NONE",
      '"alg" (Algorithm) Header Parameter value not allowed',
      () => `Bearer ${forge({ alg: "NONE", kid: key.kid }, good(), () => "x")}`,
    ],
    [
      "HS256 with the public key (PEM) as the secret",
      '"alg" (Algorithm) Header Parameter value not allowed',
      () => `Bearer ${forge({ alg: "HS256", kid: key.kid }, good(), hmacWith(publicPem()))}`,
    ],
    [
      "HS256 with the public key (JWK) as the secret",
      '"alg" (Algorithm) Header Parameter value not allowed',
      () => `Bearer ${forge({ alg: "HS256", kid: key.kid }, good(), hmacWith(key.private.n ?? ""))}`,
    ],
    [
      "HS256 with an empty secret",
      '"alg" (Algorithm) Header Parameter value not allowed',
      () => `Bearer ${forge({ alg: "HS256", kid: key.kid }, good(), hmacWith(""))}`,
    ],
    [
      "another issuer",
      'unexpected "iss" claim value',
      async () => `Bearer ${await sign(key, { ...good(), iss: "https://evil.example.org" })}`,
    ],
    [
      "an issuer that starts alike",
      'unexpected "iss" claim value',
      async () => `Bearer ${await sign(key, { ...good(), iss: `${provider.issuer}/x` })}`,
    ],
    [
      "no issuer",
      'missing required "iss" claim',
      async () => `Bearer ${await sign(key, { ...good(), iss: undefined } as never)}`,
    ],
    [
      "another audience",
      'unexpected "aud" claim value',
      async () => `Bearer ${await sign(key, { ...good(), aud: "https://other.example.org" })}`,
    ],
    [
      "an audience that starts alike",
      'unexpected "aud" claim value',
      async () => `Bearer ${await sign(key, { ...good(), aud: `${AUDIENCE}/x` })}`,
    ],
    [
      "no audience",
      'missing required "aud" claim',
      async () => `Bearer ${await sign(key, { ...good(), aud: undefined } as never)}`,
    ],
    [
      "expired",
      '"exp" claim timestamp check failed',
      async () => `Bearer ${await sign(key, { ...good(), exp: seconds(-40) })}`,
    ],
    [
      "no expiry",
      'missing required "exp" claim',
      async () => `Bearer ${await sign(key, { ...good(), exp: undefined } as never)}`,
    ],
    [
      "an expiry that is a text",
      '"exp" claim must be a number',
      async () => `Bearer ${await sign(key, { ...good(), exp: "9999999999" } as never)}`,
    ],
    [
      "not yet valid",
      '"nbf" claim timestamp check failed',
      async () => `Bearer ${await sign(key, { ...good(), nbf: seconds(60) })}`,
    ],
    [
      "no subject",
      'missing required "sub" claim',
      async () => `Bearer ${await sign(key, { ...good(), sub: undefined } as never)}`,
    ],
    [
      "another key",
      "no applicable key found in the JSON Web Key Set",
      async () => `Bearer ${await sign(stranger, good())}`,
    ],
    [
      "another key with the kid of the issuer's",
      "signature verification failed",
      async () => `Bearer ${await sign({ ...stranger, kid: key.kid }, good())}`,
    ],
    [
      "the kid of another key of the issuer",
      "signature verification failed",
      async () => `Bearer ${await sign({ ...key, kid: "second" }, good())}`,
    ],
    [
      "a key in the header",
      "no applicable key found in the JSON Web Key Set",
      async () => `Bearer ${await sign(stranger, good(), { jwk: stranger.private })}`,
    ],
    [
      "a URL of keys in the header",
      "no applicable key found in the JSON Web Key Set",
      async () => `Bearer ${await sign(stranger, good(), { jku: "https://evil.example.org" })}`,
    ],
    [
      "an unknown critical header",
      'Extension Header Parameter "x" is not recognized',
      () => `Bearer ${forge({ alg: "RS256", kid: key.kid, crit: ["x"], x: 1 }, good(), rsaSignature)}`,
    ],
    [
      "changed claims",
      "signature verification failed",
      async () => {
        const [header, , signature] = (await sign(key, good())).split(".");
        return `Bearer ${header}.${text({ ...good(), roles: ["owner"] })}.${signature}`;
      },
    ],
  ];
  test.each(cases)("%s", async (_name, reason, authorization) => {
    // Neither the missing version nor the malformed id is reported.
    const answer = await asking(await authorization());
    expect([answer.statusCode, answer.body]).toEqual([401, ""]);
    expect(answer.headers["www-authenticate"]).toBe(`Bearer authority=${provider.issuer}, audience=${AUDIENCE}`);
    const lines = api.logged.filter(({ message }) => message === "a request without a valid token was refused");
    expect(lines.map((line) => line["reason"])).toEqual([reason]);
    expect(JSON.stringify(api.logged)).not.toMatch(/eyJ/);
  });
});

describe("a valid token", () => {
  test.each(["contributor-app", "owner-app"])(
    "that the provider gave '%s' opens the routes of its role",
    async (app) => {
      const token = `Bearer ${await provider.tokenFor(app)}`;
      expect((await asking(token, "/runs?api-version=1.0")).json()).toEqual({ items: [] });
      expect((await asking(token, "/runs")).json().error.code).toBe("ApiVersionUnspecified");
      expect((await asking(token, "/runs/1?api-version=1.0")).statusCode).toBe(404);
    },
  );

  test("can have several audiences, a small skew, and any spelling of the scheme", async () => {
    const url = "/runs?api-version=1.0";
    for (const claims of [
      { ...good(), aud: ["https://other.example.org", AUDIENCE] },
      { ...good(), exp: seconds(-5) },
      { ...good(), nbf: seconds(5) },
    ]) {
      expect((await asking(`bearer  ${await sign(key, claims)}`, url)).statusCode).toBe(200);
    }
  });

  test.each([
    ["no roles", undefined],
    ["an empty list", []],
    ["the roles of another program", ["reader", "OWNER"]],
    ["a text", "owner"],
    ["an object", { owner: true }],
  ])("with %s is refused, before the body or the id is looked at", async (_name, roles) => {
    const token = `Bearer ${await sign(key, { ...good(), roles })}`;
    for (const [method, url] of [
      ["GET", "/runs?api-version=1.0"],
      ["GET", "/runs/nothing?api-version=1.0"],
      ["POST", "/runs?api-version=1.0"],
      ["PUT", "/codespecs/UPPER?api-version=1.0"],
    ] as const) {
      const answer = await asking(token, url, method);
      expect([answer.statusCode, answer.json()]).toEqual([
        403,
        { error: { code: "Forbidden", message: "'ada' has no role on this server" } },
      ]);
    }
  });

  test("of another audience, from the provider itself, is refused", async () => {
    const token = await provider.tokenFor("owner-app", "https://other.example.org");
    expect((await asking(`Bearer ${token}`)).statusCode).toBe(401);
  });
});

test.each(["/metadata", "/healthcheck", "/swagger/v1.0/swagger.json", "/database-version-in-use"])(
  "%s needs no token, and ignores one",
  async (url) => {
    for (const authorization of [undefined, "Bearer", "Bearer x.y.z"]) {
      expect((await asking(authorization, url)).statusCode).toBe(200);
    }
  },
);

test("an unknown route needs no token", async () => {
  expect((await asking(undefined, "/nowhere")).json().error.code).toBe("InvalidRoute");
  expect((await asking(undefined, "/favicon.ico")).statusCode).toBe(404);
});

test("the metadata tells clients where to obtain a token", async () => {
  expect((await asking(undefined, "/metadata")).json()).toMatchObject({
    rbacEnabled: true,
    authority: provider.issuer,
    audience: AUDIENCE,
    cliAppId: "tyger-cli",
  });
});
