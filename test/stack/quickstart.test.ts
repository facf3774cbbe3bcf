import { once } from "node:events";
import { execFile, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const BIN = resolve(import.meta.dirname, "../../bin");
const ROOT_UID = 0;
const OTHER_UID = 65_534;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tyger-quickstart-"));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, "bin"));
  // Even as root the scripts must see a user without rights; a package manager that is called fails the test.
  for (const [name, text] of Object.entries({ id: "echo 1000", npm: "echo npm was run >&2; exit 9" })) {
    writeFileSync(join(folder, "bin", name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, "bin", name), 0o755);
  }
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const environmentFor = (dockerHost: string): Record<string, string> => ({
  PATH: `${join(folder, "bin")}:${dirname(process.execPath)}:/usr/bin:/bin`,
  DOCKER_HOST: dockerHost,
});

test("without a Docker engine and without root the quickstart ends before it downloads anything", () => {
  const dockerHost = `unix://${folder}/none.sock`;
  const env = { ...environmentFor(dockerHost), XDG_CACHE_HOME: join(folder, "cache") };
  const { stdout, stderr, status } = spawnSync("sh", [join(BIN, "quickstart")], { env, encoding: "utf8" });
  expect({ stdout, stderr, status }).toEqual({
    stdout: "",
    stderr: `Error: no Docker engine answers at DOCKER_HOST '${dockerHost}'; start it, or name another\n`,
    status: 1,
  });
});

test("a socket that something listens on is enough, one that was left behind is not", async () => {
  const socket = join(folder, "with space.sock");
  const script = `. '${BIN}/require-docker'; echo continues`;
  const run = (): Promise<string> =>
    new Promise((done) => {
      execFile("sh", ["-c", script], { env: environmentFor(`unix://${socket}`) }, (_err, out, err) => done(out + err));
    });
  const server = createServer((connection) => connection.destroy()).listen(socket);
  await once(server, "listening");
  expect(await run()).toBe("continues\n");
  // The name of the socket outlives a server that is killed.
  const killed = spawnSync(process.execPath, [
    "-e",
    `require("net").createServer().listen(${JSON.stringify(`${socket}2`)}, () => process.kill(process.pid, "SIGKILL"))`,
  ]);
  expect(killed.signal).toBe("SIGKILL");
  server.close();
  const left = spawnSync("sh", ["-c", script], { env: environmentFor(`unix://${socket}2`), encoding: "utf8" });
  expect(left).toMatchObject({ status: 1, stdout: "", stderr: expect.stringContaining("no Docker engine answers at") });
});

test("a socket of a group that the user is not in gets the advice to join it", async () => {
  const socket = join(folder, "docker.sock");
  const server = createServer().listen(socket);
  await once(server, "listening");
  chmodSync(socket, 0o600);
  // If the tests run as root, run as another user, because modes do not restrict root.
  const isRoot = process.getuid?.() === ROOT_UID;
  if (!isRoot) chmodSync(socket, 0);
  copyFileSync(join(BIN, "require-docker"), join(folder, "require-docker"));
  const { status, stderr } = spawnSync("sh", ["-c", `. '${folder}/require-docker'`], {
    env: environmentFor(`unix://${socket}`),
    encoding: "utf8",
    cwd: folder,
    ...(isRoot && { uid: OTHER_UID, gid: OTHER_UID }),
  });
  server.close();
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^Error: you do not have permission to use the Docker socket '.*docker\.sock'; join its group/,
  );
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
});

test("an engine at a TCP address is left to 'tyger up'", () => {
  const { status } = spawnSync("sh", ["-c", `. '${BIN}/require-docker'`], { env: environmentFor("tcp://127.0.0.1:1") });
  expect(status).toBe(0);
});
