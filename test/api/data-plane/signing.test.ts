import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { loadSigningKeys, type SigningKeys } from "../../../api/data-plane/signing-keys.ts";
import { createSigner, createVerifier } from "../../../api/data-plane/signing.ts";
import { CodedError } from "../../../model/errors.ts";

const ownKeys = (folder: string): Promise<SigningKeys> => loadSigningKeys(undefined, folder);

const folders: string[] = [];
async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tyger-keys-"));
  folders.push(folder);
  return folder;
}
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

function codeOf(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (err) {
    return err instanceof CodedError ? err.code : String(err);
  }
}

const NOW = Date.parse("2026-01-02T03:04:05.678Z");
const grant = { bufferId: "abc", writeable: false, ttlSeconds: 30 };
const queryOf = (url: string): Record<string, string> => Object.fromEntries(new URL(url).searchParams);

test("a signed URL has the parameters in their order and whole seconds, cut", async () => {
  const sign = createSigner(await ownKeys(await freshFolder()), "/run/data.sock", () => NOW);
  const url = sign({ ...grant, writeable: true });
  expect(url).toMatch(
    /^http\+unix:\/\/\/run\/data\.sock:\/containers\/abc\?api-version=1\.0&sv=0\.1\.0&sp=cr&st=[^&]+&se=[^&]+&sig=[\w%]+$/,
  );
  expect(queryOf(url)).toMatchObject({ st: "2026-01-02T02:59:05Z", se: "2026-01-02T03:04:35Z" });
  expect(sign({ ...grant, baseUrl: "https://h:81/x" })).toMatch(/^https:\/\/h:81\/x\/containers\/abc\?/);
});

test.each([
  ["before its start", -300_700, "AuthenticationFailed"],
  ["by a clock that is five minutes behind", -300_000, undefined],
  ["by a clock that is 200 ms behind", -200, undefined],
  ["at the moment of issue", 0, undefined],
  ["in its last second", 29_000, undefined],
  ["one second after its end", 31_000, "AuthenticationFailed"],
])("a URL %s is judged by the clock without tolerance", async (_name, laterMs, code) => {
  const keys = await ownKeys(await freshFolder());
  const query = queryOf(createSigner(keys, "/s", () => NOW)(grant));
  const verify = (): void => createVerifier(keys, () => NOW + laterMs)("abc", query, "r");
  expect(codeOf(verify)).toBe(code);
});

test.each([
  ["another version", { sv: "0.2.0" }],
  ["other permissions", { sp: "cr" }],
  ["a later end", { se: "2026-01-02T04:04:35Z" }],
  ["a month that is none", { se: "2026-13-02T04:04:35Z" }],
  ["no start", { st: "" }],
  ["a signature that is not base64", { sig: "%%%" }],
  ["a signature that cannot be decoded", { sig: "AAAA" }],
  ["no signature", { sig: undefined }],
  ["two signatures", { sig: ["a", "b"] }],
])("a query with %s is refused", async (_name, change) => {
  const keys = await ownKeys(await freshFolder());
  const query = { ...queryOf(createSigner(keys, "/s", () => NOW)(grant)), ...change };
  expect(() => createVerifier(keys, () => NOW)("abc", query, "r")).toThrow(
    expect.objectContaining({ code: "AuthenticationFailed" }),
  );
});

test("processes that start together get one key, which only its owner can read", async () => {
  const folder = await freshFolder();
  const [first, second] = await Promise.all([ownKeys(folder), ownKeys(folder)]);
  const query = queryOf(createSigner(first, "/s")(grant));
  createVerifier(second)("abc", query, "r");
  expect((await stat(join(folder, "signing.pem"))).mode & 0o777).toBe(0o600);
});

test("URLs of the secondary key are valid, too; those of a third are not", async () => {
  const folder = await freshFolder();
  const own = await ownKeys(folder);
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const theirs = createSigner({ primary: other.privateKey, accepted: [] }, "/s")(grant);
  expect(() => createVerifier(own)("abc", queryOf(theirs), "r")).toThrow("signature is wrong");
  await writeFile(join(folder, "secondary.pub.pem"), other.publicKey.export({ type: "spki", format: "pem" }));
  const verify = createVerifier(await ownKeys(folder));
  verify("abc", queryOf(theirs), "r");
  verify("abc", queryOf(createSigner(own, "/s")(grant)), "r");
});

describe("configured keys", () => {
  async function writeKeys(kind: "ec" | "rsa" = "ec", namedCurve = "P-256"): Promise<{ secret: string; open: string }> {
    const folder = await freshFolder();
    const pair =
      kind === "ec" ? generateKeyPairSync("ec", { namedCurve }) : generateKeyPairSync("rsa", { modulusLength: 2048 });
    const files = { secret: join(folder, "signing.pem"), open: join(folder, "signing.pub.pem") };
    await writeFile(files.secret, pair.privateKey.export({ type: "pkcs8", format: "pem" }));
    await writeFile(files.open, pair.publicKey.export({ type: "spki", format: "pem" }));
    return files;
  }

  test.each(["secret", "open"] as const)(
    "rotate in three steps without refusing a URL in use (%s secondary)",
    async (form) => {
      const [former, next] = [await writeKeys(), await writeKeys()];
      // Each process of the server restarts at its own time, so each step must accept the URLs of the one before.
      const steps = [
        { primary: former.secret },
        { primary: former.secret, secondary: next[form] },
        { primary: next.secret, secondary: former[form] },
        { primary: next.secret },
      ];
      const refused: string[] = [];
      for (const [signedAt, signing] of steps.entries()) {
        const query = queryOf(createSigner(await loadSigningKeys(signing, "/none"), "/s")(grant));
        for (const [verifiedAt, verifying] of steps.entries()) {
          const verify = createVerifier(await loadSigningKeys(verifying, "/none"));
          if (codeOf(() => verify("abc", query, "r")) !== undefined) refused.push(`${signedAt} by ${verifiedAt}`);
        }
      }
      expect(refused).toEqual(["0 by 3", "1 by 3", "2 by 0", "3 by 0"]);
    },
  );

  test("a file that is not a usable key is named", async () => {
    const good = await writeKeys();
    const [rsa, other] = [await writeKeys("rsa"), await writeKeys("ec", "secp384r1")];
    const load = (primary: string, secondary?: string): Promise<unknown> =>
      loadSigningKeys({ primary, secondary }, "/none");
    await expect(load("/none/key.pem")).rejects.toThrow(
      "The signing key '/none/key.pem' cannot be read: there is no such file",
    );
    await expect(load(good.open)).rejects.toThrow(
      /^The signing key '.*signing\.pub\.pem' cannot be read: it is not a PEM/,
    );
    await expect(load(rsa.secret)).rejects.toThrow("is not an ECDSA key of the curve P-256");
    await expect(load(good.secret, other.open)).rejects.toThrow(`'${other.open}' is not an ECDSA key`);
  });
});
