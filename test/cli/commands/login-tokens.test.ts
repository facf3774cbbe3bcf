import { createPublicKey } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ServedApi } from "../../../api/serve.ts";
import { connect } from "../../../client/index.ts";
import { readLogin } from "../../../client/login-file.ts";
import { writeLogin } from "../../../client/login-writer.ts";
import { type LogLine, startApi } from "../../api/started-api.ts";
import { eventually } from "../../eventually.ts";
import { selfSigned } from "../../fakes/certificate.ts";
import { AUDIENCE, IdentityProvider, SECRET } from "../../fakes/identity-provider.ts";
import { startTyger, tyger } from "../command-line.ts";

let folder: string;
let loginFile: string;
let secretFile: string;
let provider: IdentityProvider;
let served: ServedApi;
let url: string;
let logged: LogLine[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tyger-tokens-"));
  await mkdir(join(folder, "buffers"));
  [loginFile, secretFile] = [join(folder, "login"), join(folder, "secret")];
  await writeFile(secretFile, `${SECRET}\n`);
  provider = await new IdentityProvider().start();
  [served, url] = await start();
});
afterEach(async () => {
  await Promise.all([served.stop(), provider.stop()]);
  await rm(folder, { recursive: true });
});

async function start(more: object = {}): Promise<[ServedApi, string]> {
  logged = [];
  const authentication = { issuer: provider.issuer, audience: AUDIENCE, clientId: "tyger-cli" };
  const text = JSON.stringify({ authentication, controlPlane: { listen: "127.0.0.1:0", ...more } });
  const api = await startApi(folder, { text, logged });
  return [api, String(logged.find(({ message }) => message === "API is ready")?.["control"])];
}
const asService = (client: string): Promise<{ code: number; stdout: string; stderr: string }> =>
  tyger(["login", url, "--service-principal", client, "--secret-file", secretFile], { loginFile });
const stored = async () => (await readLogin(loginFile)) ?? {};
const tokenRequests = (): number => provider.seen.filter((line) => line === "POST /token").length;
/** Makes the stored token look as if it had this left. */
const leave = async (seconds: number): Promise<void> =>
  writeLogin(loginFile, { ...(await stored()), lastTokenExpiration: Math.floor(Date.now() / 1000) + seconds });
const SILENT = { code: 0, stdout: "", stderr: "" };

/** Logs in as a person does: with the code that the command prints. */
async function asPerson(): Promise<string> {
  const running = await startTyger(["login", url], { loginFile });
  const code = await eventually(
    () => /enter the code (?<code>[\w-]+)\n/.exec(running.stdout().toString())?.groups?.["code"],
    { withinMs: 10_000 },
  );
  await provider.answerDevice(code, { accountId: "ada" });
  expect([await running.exitCode, running.stderr()]).toEqual([0, ""]);
  return running.stdout().toString();
}

describe("a service logs in", () => {
  test("with its secret, and its commands send tokens", async () => {
    expect(await asService("contributor-app")).toEqual(SILENT);
    expect((await stat(loginFile)).mode & 0o777).toBe(0o600);
    expect(await stored()).toMatchObject({ authority: provider.issuer, principal: "contributor-app", proxy: "auto" });
    expect(await readFile(loginFile, "utf8")).not.toContain(SECRET);
    expect(await tyger("run list", { loginFile })).toEqual({ code: 0, stdout: "[]\n", stderr: "" });
    expect(await tyger("login status", { loginFile })).toEqual({
      code: 0,
      stdout: `Logged in to ${url} as 'contributor-app' with the roles 'contributor'\n`,
      stderr: "",
    });
    const { stdout } = await tyger("login status --format json", { loginFile });
    expect(JSON.parse(stdout)).toMatchObject({ serverUrl: url, principal: "contributor-app", roles: ["contributor"] });
    expect(tokenRequests()).toBe(1);
  });

  test("with its certificate", async () => {
    const { cert, key } = selfSigned();
    await writeFile(join(folder, "service.pem"), cert + key);
    provider.clientKeys = [{ ...createPublicKey(cert).export({ format: "jwk" }), alg: "ES256", use: "sig" }];
    provider.configure();
    const words = ["login", url, "-s", "certificate-app", "-c", join(folder, "service.pem")];
    expect(await tyger(words, { loginFile })).toEqual(SILENT);
    expect((await tyger("run list", { loginFile })).code).toBe(0);
    const other = selfSigned();
    await writeFile(join(folder, "service.pem"), other.cert + other.key);
    expect((await tyger(words, { loginFile })).stderr).toMatch(
      /^Error: the identity provider refused the login: invalid_client: /,
    );
    await writeFile(join(folder, "service.pem"), cert + other.key);
    expect((await tyger(words, { loginFile })).stderr).toBe(
      `Error: the certificate file '${folder}/service.pem' cannot be used: the key is not that of the certificate\n`,
    );
    await writeFile(join(folder, "service.pem"), key);
    expect((await tyger(words, { loginFile })).stderr).toBe(
      `Error: the certificate file '${folder}/service.pem' cannot be used: it must have a certificate and its key, as PEM\n`,
    );
  });

  test("with options from a file", async () => {
    const options = join(folder, "options.yml");
    await writeFile(options, `serverUrl: ${url}\nservicePrincipal: owner-app\nsecretPath: secret\n`);
    expect(await tyger(["login", "-f", options], { loginFile })).toEqual(SILENT);
    expect(await stored()).toMatchObject({ principal: "owner-app", secretPath: secretFile });
  });

  test("and is refused with the words of the provider, never with the secret", async () => {
    await writeFile(secretFile, "another secret");
    const refused = await asService("owner-app");
    expect(refused).toEqual({ ...SILENT, code: 1, stderr: expect.stringMatching(/refused the login: invalid_client/) });
    expect(refused.stderr).not.toContain("another secret");
    await writeFile(secretFile, "\n");
    expect((await asService("owner-app")).stderr).toBe(`Error: the secret file '${secretFile}' is empty\n`);
    await rm(secretFile);
    expect((await asService("owner-app")).stderr).toBe(
      `Error: the secret file '${secretFile}' cannot be read: there is no such file\n`,
    );
    expect(await stored()).toEqual({});
  });

  test("without a role on the server: an error, and no login", async () => {
    expect((await asService("app-without-role")).stderr).toBe(
      "Error: the token has no roles: ask the owner of the server for one\n",
    );
    expect(await stored()).toEqual({});
  });
});

describe("a person logs in with a code", () => {
  test("on any machine, and later commands renew the token", async () => {
    expect(await asPerson()).toMatch(
      /^To log in, open http:\/\/127\.0\.0\.1:\d+\/device in a browser and enter the code [\w-]+\n$/,
    );
    const { lastToken, fullCache } = await stored();
    expect(await stored()).toMatchObject({ principal: "ada@example.org", clientId: "tyger-cli" });
    await leave(500);
    expect((await tyger("login status", { loginFile })).stdout).toBe(
      `Logged in to ${url} as 'ada@example.org' with the roles 'owner'\n`,
    );
    const renewed = await stored();
    expect([renewed.lastToken === lastToken, renewed.fullCache === fullCache]).toEqual([false, false]);
    expect((await tyger("run list", { loginFile })).code).toBe(0);
  });

  test("that commands at the same time renew one after the other: no refresh token is used twice", async () => {
    await asPerson();
    await leave(500);
    const before = tokenRequests();
    const commands = Array.from({ length: 6 }, () => tyger("run list", { loginFile }));
    expect((await Promise.all(commands)).map(({ code, stderr }) => [code, stderr])).toEqual(
      commands.map(() => [0, ""]),
    );
    expect(tokenRequests() - before).toBe(1);
  });

  test("and a login that has ended is one sentence", async () => {
    await asPerson();
    await leave(-1);
    writeLogin(loginFile, { ...(await stored()), fullCache: Buffer.from('{"refreshToken":"x"}').toString("base64") });
    const expired = { ...SILENT, code: 1, stderr: "Error: your login has expired; run 'tyger login' again\n" };
    expect(await tyger("run list", { loginFile })).toEqual(expired);
    expect(await tyger("login status", { loginFile })).toEqual(expired);
  });
});

describe("a token", () => {
  test("is renewed ten minutes before it expires, and works while the provider is away", async () => {
    await asService("contributor-app");
    const before = tokenRequests();
    await leave(599);
    await provider.stop();
    expect(await tyger("run list", { loginFile })).toEqual({ code: 0, stdout: "[]\n", stderr: "" });
    await leave(-1);
    const { code, stderr } = await tyger("run list", { loginFile });
    expect([code, stderr]).toEqual([
      1,
      `Error: cannot reach the identity provider '${provider.issuer}': nothing is listening there\n`,
    ]);
    await provider.start();
    expect((await tyger("run list", { loginFile })).code).toBe(0);
    expect((await tyger("run list", { loginFile })).code).toBe(0);
    expect(tokenRequests() - before).toBe(1);
  });

  test("that lives for five minutes is used for half of them", async () => {
    provider.accessTokenSeconds = 300;
    await asService("contributor-app");
    for (let time = 0; time < 3; time += 1) expect((await tyger("run list", { loginFile })).code).toBe(0);
    expect(tokenRequests()).toBe(1);
    await leave(100);
    expect((await tyger("run list", { loginFile })).code).toBe(0);
    expect(tokenRequests()).toBe(2);
  });

  test("that the server does not know any more is an error that says what to do", async () => {
    await asService("contributor-app");
    const [header = "", claims = ""] = ((await stored()).lastToken ?? "").split(".");
    writeLogin(loginFile, { ...(await stored()), lastToken: `${header}.${claims}.AAAA` });
    expect((await tyger("run list", { loginFile })).stderr).toBe(
      "Error: unexpected status code 401 Unauthorized; run 'tyger login' to log in again\n",
    );
  });

  test("is in no log of the client or the server, at any level", async () => {
    const login = await tyger(["login", url, "-s", "owner-app", "--secret-file", secretFile, "--log-level", "trace"], {
      loginFile,
    });
    const list = await tyger("run list --log-level trace --log-format json", { loginFile });
    const { lastToken = "" } = await stored();
    const seen = login.stderr + list.stderr + JSON.stringify(logged);
    expect(login.stderr).toContain(`Sending request method=POST proxy="" url=${provider.issuer}/token`);
    expect(list.stderr).toContain("Authorization: REDACTED");
    const [, claims = "", signature = ""] = lastToken.split(".");
    for (const secret of [claims, signature, SECRET, encodeURIComponent(SECRET)]) expect(seen).not.toContain(secret);
    expect(seen).not.toMatch(/Basic |client_assertion/);
  });
});

test("over https the server is trusted by the file of certificates, which is kept", async () => {
  await served.stop();
  const { cert, key } = selfSigned();
  for (const [name, content] of Object.entries({ "a.crt": cert, "a.key": key }))
    await writeFile(join(folder, name), content);
  [served, url] = await start({ tls: { certificate: "a.crt", key: "a.key" } });
  expect(url).toMatch(/^https:/);
  expect((await asService("owner-app")).stderr).toMatch(/^Error: .*self-signed certificate/);
  const words = ["login", url, "-s", "owner-app", "--secret-file", secretFile, "--tls-certificates"];
  expect(await tyger([...words, join(folder, "a.crt")], { loginFile })).toEqual(SILENT);
  expect((await tyger("run list", { loginFile })).code).toBe(0);
  expect(await stored()).toMatchObject({ tlsCaCertificates: join(folder, "a.crt") });
  expect((await tyger([...words, "embedded"], { loginFile })).stderr).toMatch(/self-signed certificate/);
  expect((await tyger([...words, join(folder, "a.key")], { loginFile })).stderr).toMatch(/has no certificates \(PEM\)/);
});

test("logout removes the tokens; without a login, a server with access control refuses", async () => {
  await asService("owner-app");
  expect(await tyger("logout", { loginFile })).toEqual(SILENT);
  expect(await readFile(loginFile, "utf8")).toBe("{}\n");
  writeLogin(loginFile, { serverUrl: url });
  expect((await tyger("run list", { loginFile })).stderr).toMatch(/401 Unauthorized; run 'tyger login'/);
});

test.each([
  ["-s a", "--service-principal requires --secret-file or --cert-file"],
  ["-c a.pem", "--cert-file requires --service-principal"],
  ["--secret-file a", "--secret-file requires --service-principal"],
  ["-s a -d --secret-file b", "--service-principal cannot be combined with --use-device-code"],
  ["-s a -c b --secret-file c", "--cert-file cannot be combined with --secret-file"],
])("login http://h:1 %s is refused", async (flags, message) => {
  expect((await tyger(`login http://h:1 ${flags}`, { loginFile })).stderr).toContain(message);
  expect((await tyger(`login --local ${flags}`, { loginFile })).stderr).toContain(
    "--local can be combined with --proxy only",
  );
});

test("a program gives its own tokens to the client", async () => {
  let asked = 0;
  const token = async (): Promise<string> => {
    asked += 1;
    return provider.tokenFor("contributor-app");
  };
  const client = await connect({ server: url, token });
  expect((await client.runs.list().pages().next()).value).toMatchObject({ items: [] });
  await client.metadata();
  expect(asked).toBe(1);
  const failing = await connect({ server: url, token: () => Promise.reject(new Error("the vault is sealed")) });
  await expect(failing.runs.show(1)).rejects.toThrow("the vault is sealed");
  // The login of the file serves programs too.
  await asService("contributor-app");
  const own = await connect({ loginFile });
  expect((await own.runs.list().pages().next()).value).toMatchObject({ items: [] });
});
