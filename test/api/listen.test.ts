import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listenOnSocket } from "../../api/listen.ts";
import { createFakeApi, type FakeApi } from "../fakes/api.ts";

let folder: string;
let api: FakeApi;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tyger-listen-"));
  api = createFakeApi();
});
afterEach(async () => {
  await api.app.close();
  await rm(folder, { recursive: true });
});

const ask = (options: object): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = request(options, (res) => {
      let text = "";
      res.setEncoding("utf8").on("data", (part: string) => (text += part));
      res.on("end", () => resolve(text));
    });
    sent.on("error", reject).end();
  });

test("a client of the socket gets Unix-socket URLs, whatever its Host header says", async () => {
  const path = join(folder, "deep", "api.sock");
  await listenOnSocket(api.app, path, 0o600);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(join(folder, "deep"))).mode & 0o777).toBe(0o700);
  const answer = await ask({ socketPath: path, path: "/metadata", headers: { host: "unix----mfyhax3tmnvq" } });
  expect(JSON.parse(answer)).toEqual({
    capabilities: ["Docker", "LocalBuffers"],
    apiVersions: ["1.0"],
    storageEndpoints: ["http+unix:///run/data.sock"],
  });
});

test("the socket file of a dead process is replaced", async () => {
  const path = join(folder, "api.sock");
  await writeFile(path, "");
  await listenOnSocket(api.app, path, 0o600);
  expect(await ask({ socketPath: path, path: "/healthcheck" })).toBe("Healthy");
});

test("a socket that another server answers on is left alone", async () => {
  const path = join(folder, "api.sock");
  const other = createServer((_req, res) => res.end("other"));
  await new Promise<void>((resolve) => void other.listen(path, resolve));
  await expect(listenOnSocket(api.app, path, 0o600)).rejects.toThrow(`Another server answers on the socket '${path}'`);
  expect(await ask({ socketPath: path })).toBe("other");
  other.close();
});

test("a path that is too long for a socket is refused, and the limit is named", async () => {
  const path = join(folder, "x".repeat(100));
  await expect(listenOnSocket(api.app, path, 0o600)).rejects.toThrow("is longer than 107 bytes");
});
