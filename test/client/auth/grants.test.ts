import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tokenByDevice, tokenByRefresh, tokenForService } from "../../../client/auth/grants.ts";
import type { Answer, Issuer } from "../../../client/auth/issuer.ts";

const TOKENS = { status: 200, body: { access_token: "t", expires_in: 60 } };
const refused = (error: string, status = 400): Answer => ({ status, body: { error } });
const DEVICE = {
  status: 200,
  body: { device_code: "d", user_code: "ABCD", verification_uri: "https://i/device", expires_in: 600, interval: 5 },
};

/** An issuer that gives these answers in turn. */
function issuerOf(answers: (Answer | Error)[], more: Partial<Issuer> = {}) {
  const sent: { url: string; form: Record<string, string | undefined>; authorization: string | undefined }[] = [];
  const issuer: Issuer = {
    tokenEndpoint: "https://i/token",
    deviceEndpoint: "https://i/codes",
    takesBasic: true,
    async post(url, form, authorization) {
      sent.push({ url, form, authorization });
      const answer = answers.shift();
      if (answer === undefined || answer instanceof Error) throw answer ?? new Error("asked too often");
      return answer;
    },
    ...more,
  };
  return { issuer, sent };
}

async function byDevice(polled: (Answer | Error)[], device: Answer = DEVICE) {
  const { issuer, sent } = issuerOf([device, ...polled]);
  const pauses: number[] = [];
  const told: object[] = [];
  const tokens = await tokenByDevice(
    issuer,
    "cli",
    { audience: "https://a" },
    {
      tell: async (instructions) => void told.push(instructions),
      pause: async (ms) => {
        if (pauses.push(ms / 1000) > 20) throw new Error("it polls without end");
      },
    },
  ).catch((err: unknown) => (err as Error).message);
  return { tokens, pauses, told, sent };
}

describe("a login by device code", () => {
  test("asks for the audience and for renewals, and polls as the issuer says", async () => {
    const { tokens, pauses, told, sent } = await byDevice([
      refused("authorization_pending"),
      refused("slow_down"),
      new Error("connect ECONNREFUSED"),
      { status: 503, body: {} },
      TOKENS,
    ]);
    expect(tokens).toMatchObject({ token: "t" });
    expect(pauses).toEqual([5, 5, 10, 10, 10]);
    expect(told).toEqual([{ url: "https://i/device", code: "ABCD" }]);
    const target = { audience: "https://a", resource: "https://a" };
    expect(sent[0]?.form).toEqual({ client_id: "cli", scope: "openid offline_access", ...target });
    expect(sent[1]?.form).toMatchObject({ device_code: "d", client_id: "cli", ...target });
  });

  test.each([
    ["is denied", [refused("access_denied")], "the identity provider refused the login: access_denied"],
    ["expires at the issuer", [refused("expired_token")], "the identity provider refused the login: expired_token"],
    ["is refused without a reason", [{ status: 403, body: {} }], "the identity provider refused the login: status 403"],
  ])("that %s ends", async (_name, polled, message) => {
    expect((await byDevice(polled)).tokens).toBe(message);
  });

  test("ends when its time is over, also while the issuer is away", async () => {
    const device = { ...DEVICE, body: { ...DEVICE.body, expires_in: 0 } };
    expect((await byDevice([refused("authorization_pending")], device)).tokens).toMatch(/^the code expired/);
    expect((await byDevice([{ status: 503, body: {} }], device)).tokens).toMatch(/^the code expired/);
  });

  test.each([
    ["a refusal", refused("unauthorized_client"), "the identity provider refused the login: unauthorized_client"],
    ["something else", { status: 200, body: {} }, "the identity provider refused the login: status 200"],
    ["text with control characters", refused("a\u001B[31mb"), "the identity provider refused the login: a [31mb"],
  ])("that begins with %s is an error", async (_name, device, message) => {
    expect(await byDevice([], device)).toMatchObject({ tokens: message, told: [] });
  });

  test("needs an issuer that has it", async () => {
    const { issuer } = issuerOf([], { deviceEndpoint: undefined });
    const login = tokenByDevice(issuer, "cli", {}, { tell: async () => {} });
    await expect(login).rejects.toThrow("has no logins by device code; log in with --service-principal");
  });
});

describe("a token for a service", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "tyger-grants-"));
    await writeFile(join(folder, "secret"), "p+%:ß\r\n");
  });
  afterAll(() => rm(folder, { recursive: true }));
  const login = () => ({ clientId: "my app", secretPath: join(folder, "secret") });

  test("is asked for with the secret in the header, encoded as a form", async () => {
    const { issuer, sent } = issuerOf([TOKENS]);
    await tokenForService(issuer, login(), { audience: "api-name" });
    expect(sent[0]?.form).toMatchObject({
      grant_type: "client_credentials",
      audience: "api-name",
      resource: undefined,
    });
    const basic = Buffer.from((sent[0]?.authorization ?? "").replace("Basic ", ""), "base64").toString();
    expect(basic).toBe("my+app:p%2B%25%3A%C3%9F");
  });

  test("is asked for in the body where the issuer takes it there only, and with a scope in place of the audience", async () => {
    const { issuer, sent } = issuerOf([TOKENS], { takesBasic: false });
    await tokenForService(issuer, login(), { audience: "https://a", scope: "api://a/.default" });
    const form = { client_id: "my app", client_secret: "p+%:ß", scope: "api://a/.default" };
    expect(sent[0]).toEqual({
      url: "https://i/token",
      form: { grant_type: "client_credentials", ...form },
      authorization: undefined,
    });
  });
});

test.each([
  ["keeps the refresh token of an issuer that gives no new one", TOKENS, "r1"],
  ["takes the new one", { ...TOKENS, body: { ...TOKENS.body, refresh_token: "r2" } }, "r2"],
])("a renewal %s", async (_name, answer, refreshToken) => {
  const { issuer } = issuerOf([answer]);
  expect(await tokenByRefresh(issuer, { clientId: "cli", refreshToken: "r1" }, {})).toMatchObject({ refreshToken });
});
