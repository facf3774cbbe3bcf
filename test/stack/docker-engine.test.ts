import { expect, test } from "vitest";
import { engineAt, engineCandidates, isAnswering } from "../../stack/docker-engine.ts";

test.each([
  ["unix:///run/x.sock", { socketPath: "/run/x.sock" }],
  ["tcp://127.0.0.1:2375", { host: "127.0.0.1", port: 2375 }],
  ["http://localhost:2375/", { host: "localhost", port: 2375 }],
])("an engine at '%s' is reached", (host, connection) => {
  expect(engineAt(host)).toEqual({ host, connection });
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

test("an engine that is not there does not answer", async () => {
  expect(await isAnswering(engineAt("unix:///nowhere.sock"))).toBe(false);
});
