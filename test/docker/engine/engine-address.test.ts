import { expect, test } from "vitest";
import { engineAddressOf } from "../../../docker/engine/engine-address.ts";

test.each([
  [undefined, "unix:///var/run/docker.sock", false, { socketPath: "/var/run/docker.sock" }],
  ["unix:///run/x.sock", "unix:///run/x.sock", false, { socketPath: "/run/x.sock" }],
  ["tcp://far", "tcp://far", false, { host: "far", port: 2375 }],
  ["tcp://[::1]:99", "tcp://[::1]:99", false, { host: "::1", port: 99 }],
  ["http://far:80/", "http://far:80/", false, { host: "far", port: 80 }],
  ["https://far", "https://far", true, { host: "far", port: 2376 }],
  ["https://far:443", "https://far:443", true, { host: "far", port: 443 }],
])("DOCKER_HOST '%s'", (dockerHost, host, isTls, connection) => {
  expect(engineAddressOf(dockerHost)).toEqual({ host, isTls, connection });
});

test.each(["ssh://me@far", "npipe:////./pipe/docker_engine", "nonsense", "tcp://"])(
  "DOCKER_HOST '%s' is refused in one sentence that names it",
  (dockerHost) => {
    expect(() => engineAddressOf(dockerHost)).toThrow(
      `DOCKER_HOST '${dockerHost}' is neither unix://PATH nor tcp://HOST:PORT`,
    );
  },
);
