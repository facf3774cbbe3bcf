import { createServer, type Server } from "node:http";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { mustRun } from "../../../stack/host/command.ts";
import { selfSigned } from "../../fakes/certificate.ts";
import { GcsServer } from "../../fakes/gcs-server.ts";

let dir: string;
let servers: { close(): unknown }[];
let env: Record<string, string>;
const certificate = selfSigned();
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tyger-credentials-"));
  servers = [];
  await writeFile(join(dir, "ca.pem"), certificate.cert);
  // Without a metadata server, the package would look for one for seconds.
  const NODE_EXTRA_CA_CERTS = join(dir, "ca.pem");
  env = { PATH: process.env["PATH"] ?? "", HOME: dir, NODE_EXTRA_CA_CERTS, METADATA_SERVER_DETECTION: "none" };
});
afterEach(async () => {
  for (const server of servers) await server.close();
  await rm(dir, { recursive: true });
});

const MAIN = join(import.meta.dirname, "bucket-process.ts");
async function runProcess(kind: string, place: string): Promise<{ ends: string[]; loaded: string[] }> {
  const text = await mustRun(process.execPath, [MAIN, kind, place], { timeoutMs: 60_000, env, cwd: dir });
  return JSON.parse(text) as { ends: string[]; loaded: string[] };
}

/** A server that gives tokens, each with another number; its requests are counted. */
async function startTokens(answer: (token: string) => object): Promise<{ address: string; count: () => number }> {
  let count = 0;
  const server: Server = createServer((req, res) => {
    req.resume();
    res.writeHead(200, { "content-type": "application/json", "metadata-flavor": "Google" });
    const isToken = req.method === "POST" || (req.url ?? "").includes("/token");
    res.end(isToken ? JSON.stringify(answer(`token-${(count += 1)}`)) : '"default"');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push({ close: () => server.close() });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, count: () => count };
}

async function startBucket(token?: () => string): Promise<{ server: GcsServer; endpoint: string }> {
  const server = new GcsServer({ ...(token && { token, certificate }) });
  servers.push(server);
  return { server, endpoint: await server.listen() };
}

const PACKAGES = ["@google-cloud/storage", "buffers/gcs", "google-auth-library"];

test("the identity of the machine or pod is shown to the bucket, and again when its token was withdrawn", async () => {
  const tokens = await startTokens((token) => ({ access_token: token, expires_in: 3600, token_type: "Bearer" }));
  Object.assign(env, { GCE_METADATA_HOST: tokens.address, METADATA_SERVER_DETECTION: "assume-present" });
  const { server, endpoint } = await startBucket(() => (server.objects.size === 0 ? "token-1" : "token-2"));
  const { ends, loaded } = await runProcess("bucket", endpoint);
  expect(ends).toEqual(["a", "b"]);
  expect(server.seen.map(({ authorization }) => authorization)).toEqual([
    "Bearer token-1",
    "Bearer token-1",
    "Bearer token-2",
  ]);
  expect(loaded).toEqual(PACKAGES);
});

test("an identity of another provider is exchanged as the file of GOOGLE_APPLICATION_CREDENTIALS says", async () => {
  const tokens = await startTokens((token) => ({
    access_token: token,
    expires_in: 3600,
    token_type: "Bearer",
    issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
  }));
  await writeFile(join(dir, "subject"), "from-another-provider");
  const federated = {
    type: "external_account",
    audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    token_url: `http://${tokens.address}/v1/token`,
    credential_source: { file: join(dir, "subject") },
  };
  await writeFile(join(dir, "federated.json"), JSON.stringify(federated));
  env["GOOGLE_APPLICATION_CREDENTIALS"] = join(dir, "federated.json");
  const { endpoint } = await startBucket(() => "token-1");
  expect((await runProcess("bucket", endpoint)).ends).toEqual(["a", "b"]);
  expect(tokens.count()).toBe(1);
});

test("a bucket without credentials is one sentence, and nothing is sent", async () => {
  const { server, endpoint } = await startBucket(() => "any");
  const { ends } = await runProcess("bucket", endpoint);
  const sentence =
    /^CodedError: The bucket 'test-bucket' cannot be used without credentials: Could not load the default/;
  expect(ends).toEqual([expect.stringMatching(sentence), expect.stringMatching(sentence)]);
  expect(server.seen).toEqual([]);
});

test("an emulator gets no token, and the package is not loaded for it", async () => {
  const tokens = await startTokens((token) => ({ access_token: token, expires_in: 3600, token_type: "Bearer" }));
  Object.assign(env, { GCE_METADATA_HOST: tokens.address, METADATA_SERVER_DETECTION: "assume-present" });
  const { server, endpoint } = await startBucket();
  expect(await runProcess("bucket", endpoint)).toEqual({ ends: ["a", "b"], loaded: ["buffers/gcs"] });
  expect(server.seen.map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
  expect(tokens.count()).toBe(0);
});

test("a server with folders only loads nothing of it", async () => {
  expect(await runProcess("folder", join(dir, "data"))).toEqual({ ends: ["checked"], loaded: [] });
});
