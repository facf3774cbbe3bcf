import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { engineAt, engineCandidates, refusalOf } from "../../../stack/docker/docker-engine.ts";

test.each([
  ["unix:///run/x.sock", { socketPath: "/run/x.sock" }],
  ["tcp://127.0.0.1:2375", { host: "127.0.0.1", port: 2375 }],
  ["http://localhost:2375/", { host: "localhost", port: 2375 }],
])("an engine at '%s' is reached", (host, connection) => {
  expect(engineAt(host)).toEqual({ host, isTls: false, connection });
});

test.each(["ssh://me@far", "npipe:////./pipe/docker_engine", "nonsense"])(
  "an engine at '%s' is refused in one sentence that names it",
  (host) => {
    expect(() => engineAt(host)).toThrow(`'${host}'`);
  },
);

test("DOCKER_HOST leaves no other engine to try", () => {
  expect(engineCandidates("unix:///nowhere.sock", "/run/user/1").map(({ host }) => host)).toEqual([
    "unix:///nowhere.sock",
  ]);
});

test("only a socket that is missing is left out", () => {
  const folder = mkdtempSync(join(tmpdir(), "tyger-engine-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const hosts = () => engineCandidates(undefined, folder).map(({ host }) => host);
  const socket = join(folder, "docker.sock");
  expect(hosts()).not.toContain(`unix://${socket}`);
  symlinkSync(socket, socket);
  expect(hosts()).toContain(`unix://${socket}`);
});

test.each([
  ["unix:///nowhere.sock", "there is no such socket; start the engine, or name another in DOCKER_HOST"],
  ["tcp://127.0.0.1:1", "nothing is listening there; start the engine, or name another in DOCKER_HOST"],
])("the reason why the engine at '%s' cannot be used is: %s", async (host, reason) => {
  expect(await refusalOf(engineAt(host))).toBe(reason);
});

test("an engine that never answers is given up", async () => {
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  expect(await refusalOf(engineAt(`tcp://127.0.0.1:${port}`), 100)).toMatch(/^it does not answer/);
  server.close();
});
