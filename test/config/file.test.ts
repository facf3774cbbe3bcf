import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readConfigFile } from "../../config/file.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tyger-config-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function read(text: string): Promise<unknown> {
  const file = join(folder, "tyger.yml");
  await writeFile(file, text);
  return readConfigFile({ TYGER_CONFIG: file });
}

test("without a file, and in an empty one, there are no settings", async () => {
  expect(readConfigFile({})).toEqual({});
  expect(readConfigFile({ TYGER_CONFIG: "" })).toEqual({});
  expect(await read("# signingKeys:\n")).toEqual({});
});

test("relative paths start at the folder of the file", async () => {
  expect(await read("signingKeys: { primary: keys/a.pem, secondary: /etc/b.pem }")).toEqual({
    signingKeys: { primary: join(folder, "keys/a.pem"), secondary: "/etc/b.pem" },
  });
});

test("locations have names and folders, in the order of the file", async () => {
  expect(await read("locations: [{ name: Fast, folder: disks/fast }, { name: local, folder: /data }]")).toEqual({
    locations: [
      { name: "Fast", folder: join(folder, "disks/fast") },
      { name: "local", folder: "/data" },
    ],
  });
});

test("locations can be buckets, with a slash after the prefix", async () => {
  const text =
    "[{ name: a, bucket: abc }, { name: b, bucket: a.b_c-d, prefix: x/y=1, endpoint: 'http://127.0.0.1:1' }]";
  expect(await read(`locations: ${text}`)).toEqual({
    locations: [
      { name: "a", bucket: "abc", prefix: "" },
      { name: "b", bucket: "a.b_c-d", prefix: "x/y=1/", endpoint: "http://127.0.0.1:1" },
    ],
  });
});

test.each([
  "https://i.org/realms/a",
  "https://i.org/",
  "http://localhost:8080",
  "http://127.0.0.1:1",
  "http://[::1]:1",
])("tokens of the issuer %s can be accepted", async (issuer) => {
  const settings = { authentication: { issuer, audience: "api://a", clientId: "c", scope: "a b" } };
  expect(await read(JSON.stringify(settings))).toEqual(settings);
  expect(await read("authentication: none")).toEqual({ authentication: "none" });
});

test.each([
  ["signingKey: {}", /'.*tyger\.yml' is invalid: the file: Unrecognized key: "signingKey"/],
  ["signingKeys: { secondary: b.pem }", /signingKeys\.primary: Invalid input/],
  ["locations: []", /locations: Too small/],
  ["locations: [{ name: a }]", /locations\.0\.folder: Invalid input/],
  ["locations: [{ name: a, bucket: b }]", /locations\.0\.bucket: must be the name of a bucket, without gs:/],
  ["locations: [{ name: a, bucket: gs://abc }]", /locations\.0\.bucket: must be the name of a bucket, without gs:/],
  ["locations: [{ name: a, bucket: abc, prefix: /x }]", /locations\.0\.prefix: must be segments/],
  ["locations: [{ name: a, bucket: abc, prefix: a/../b }]", /locations\.0\.prefix: must be segments/],
  ["locations: [{ name: a, bucket: abc, endpoint: 'ftp://x' }]", /locations\.0\.endpoint: must be a URL such as/],
  ["locations: [{ name: a, bucket: abc, folder: x }]", /locations\.0: Unrecognized key: "folder"/],
  ["locations: [{ name: a, bucket: abc, prefix: x }, { name: b, bucket: abc, prefix: x/ }]", /two have the same/],
  ["locations: [{ name: a b, folder: x }]", /locations\.0\.name: must be 1 to 63 letters, digits, '\.', '-' and '_'/],
  ["locations: [{ name: a, folder: x }, { name: A, folder: y }]", /locations: two have the same name/],
  ["locations: [{ name: a, folder: x }, { name: b, folder: ./x/ }]", /locations: two have the same folder/],
  ["authentication: off", /authentication: must be 'none', or have 'issuer' and 'audience'/],
  ["authentication: { issuer: https://i }", /authentication: must be 'none', or have 'issuer' and 'audience'/],
  ["authentication: { issuer: x, audience: a }", /authentication\.issuer: must be an https URL/],
  ["authentication: { issuer: http://i.org, audience: a }", /authentication\.issuer: must be an https URL, or an http/],
  ["authentication: { issuer: http://localhost.evil.org, audience: a }", /authentication\.issuer: must be an https/],
  ["authentication: { issuer: https://i, audience: a b }", /authentication\.audience: must be text without spaces/],
  ["authentication: { issuer: https://i, audience: a, secret: x }", /authentication: Unrecognized key: "secret"/],
  ["signingKeys: [", /^The configuration file '.*tyger\.yml' cannot be read: /],
  ["just text", /the file: Invalid input/],
])("%j is refused with its reason", async (text, message) => {
  await expect(read(text)).rejects.toThrow(message);
});

test("a missing file is an error, not an empty one", () => {
  expect(() => readConfigFile({ TYGER_CONFIG: "/none/tyger.yml" })).toThrow(
    "The configuration file '/none/tyger.yml' cannot be read: there is no such file",
  );
});
