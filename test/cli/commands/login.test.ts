import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readLogin } from "../../../client/login-file.ts";
import { writeLogin } from "../../../client/login-writer.ts";
import { readCliConfig } from "../../../config/cli.ts";
import { FakeServer, reply } from "../../fakes/tyger-server.ts";
import { tyger } from "../command-line.ts";

let folder: string;
let server: FakeServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tyger-login-"));
  server = await new FakeServer().start();
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

test("login writes the file that other clients read, and prints nothing", async () => {
  const loginFile = join(folder, "new", "login");
  expect(await tyger(`login unix://${server.socketPath}`, { loginFile })).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(readFileSync(loginFile, "utf8")).toBe(`proxy: auto\nserverUrl: 'http+unix://${server.socketPath}:'\n`);
  expect(statSync(loginFile).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(folder, "new"))).toEqual(["login"]);
  expect(server.seen[0]?.url).toBe("/metadata");
});

test("login status shows the server, logout forgets it", async () => {
  const loginFile = join(folder, "login");
  await tyger(["login", "--proxy", "http://p:1", `unix://${server.socketPath}`], { loginFile });
  const status = await tyger("login status", { loginFile });
  expect(status).toMatchObject({ code: 0, stderr: "" });
  expect(status.stdout).toContain(`unix://${server.socketPath}`);
  expect(JSON.parse((await tyger("login status --format json", { loginFile })).stdout)).toEqual({
    serverUrl: `unix://${server.socketPath}`,
    proxy: "http://p:1",
    metadata: { capabilities: ["Docker"], apiVersions: ["1.0"] },
  });
  expect(await tyger("logout", { loginFile })).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(await tyger("login status", { loginFile })).toEqual({
    code: 1,
    stdout: "",
    stderr: "Error: run 'tyger login' to connect to a Tyger server\n",
  });
});

test.each(["auto", "automatic", "none"])("the proxy '%s' in a login file is not shown", async (proxy) => {
  const loginFile = join(folder, "login");
  writeLogin(loginFile, { serverUrl: `http+unix://${server.socketPath}:`, proxy });
  expect((await tyger("login status", { loginFile })).stdout).toBe(`Logged in to unix://${server.socketPath}\n`);
});

test("login --local finds the first socket that a server answers on", async () => {
  const loginFile = join(folder, "login");
  const localSockets = [join(folder, "none.sock"), server.socketPath];
  expect((await tyger("login --local", { loginFile, localSockets })).code).toBe(0);
  expect((await readLogin(loginFile))?.serverUrl).toBe(`http+unix://${server.socketPath}:`);
  const none = await tyger("login --local", { loginFile, localSockets: localSockets.slice(0, 1) });
  expect(none.code).toBe(1);
  expect(none.stderr).toMatch(/^Error: no local server was found: .*none\.sock/);
});

test("login --file reads the options, and refuses unknown ones", async () => {
  const loginFile = join(folder, "login");
  const file = join(folder, "options.yml");
  await writeFile(file, `serverUrl: unix://${server.socketPath}\nproxy: none\nport: 6888\n`);
  expect((await tyger(`login -f ${file}`, { loginFile })).code).toBe(0);
  expect(await readLogin(loginFile)).toMatchObject({ proxy: "none" });
  await writeFile(file, "serverUri: x\n");
  expect((await tyger(`login -f ${file}`, { loginFile })).stderr).toContain("unknown field 'serverUri'");
});

test("a missing server, or another program in its place, is an error and does not log in", async () => {
  const loginFile = join(folder, "login");
  expect((await tyger(`login unix://${folder}/none.sock`, { loginFile })).stderr).toMatch(/^Error: cannot reach/);
  server.on("GET", /metadata/, (_, response) => reply(response, 404, {}));
  expect((await tyger(`login unix://${server.socketPath}`, { loginFile })).stderr).toBe(
    "Error: unexpected status code 404 Not Found\n",
  );
  expect(existsSync(loginFile)).toBe(false);
});

test.each([
  ["written by hand", "serverUrl: http://h:1 # mine\n", { serverUrl: "http://h:1" }],
  ["the old name", "serverUri: http://h:1\n", { serverUrl: "http://h:1" }],
  [
    "more than we know",
    "serverUrl: http://h:1\nmanagedIdentity: true\nlastTokenExpiration: 5\nfullCache: aGk=\n",
    { serverUrl: "http://h:1", lastTokenExpiration: 5, fullCache: "aGk=" },
  ],
  ["quotes in quotes", "serverUrl: 'http+unix:///it''s:'\n", { serverUrl: "http+unix:///it's:" }],
  ["JSON", '{"serverUrl": "http://h:1"}', { serverUrl: "http://h:1" }],
  ["empty", "", {}],
  ["an empty map", "{}\n", {}],
  ["a comment", "# nothing\n", {}],
])("a login file that is %s is accepted", async (_name, text, login) => {
  const path = join(folder, "login");
  await writeFile(path, text);
  expect(await readLogin(path)).toEqual(login);
});

test("a login file that is not a map is an error that names it", async () => {
  const path = join(folder, "login");
  await writeFile(path, "[1");
  await expect(readLogin(path)).rejects.toThrow(path);
});

test("any written login is read back unchanged", async () => {
  const path = join(folder, "login");
  for (const serverUrl of ["http://h:1", "http+unix:///it's a: path:", "auto", "no", "http://[::1]:1"]) {
    writeLogin(path, { serverUrl });
    expect(await readLogin(path)).toEqual({ serverUrl });
  }
});

test("a login that cannot be written leaves the old login in place", async () => {
  const path = join(folder, "login");
  writeLogin(path, { serverUrl: "http://old" });
  expect(() => writeLogin(join(path, "below"), { serverUrl: "http://new" })).toThrow(
    `the login file '${path}/below' cannot be written: a part of its path is not a folder`,
  );
  expect(await readLogin(path)).toEqual({ serverUrl: "http://old" });
});

test("an impossible path of the login file is an error that names it", async () => {
  // In a process of its own: a recursive mkdir below /proc never returns.
  const module = join(import.meta.dirname, "../../../client/login-writer.ts");
  const script = `import { writeLogin } from "${module}"; writeLogin("/proc/none/login", { serverUrl: "http://h" });`;
  const { stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
    timeout: 10_000,
  });
  expect(stderr).toContain("the login file '/proc/none/login' cannot be written: its folder does not exist");
  await expect(readLogin(folder)).rejects.toThrow(`the login file '${folder}' cannot be read: it is a folder`);
});

test("only the environment determines the path of the login file", () => {
  expect(readCliConfig({}, 0).loginFile).toBeUndefined();
  expect(readCliConfig({ HOME: "/h" }, 0).loginFile).toBe("/h/.cache/tyger/.tyger");
  expect(readCliConfig({ HOME: "/h", XDG_CACHE_HOME: "/c" }, 0).loginFile).toBe("/c/tyger/.tyger");
  expect(readCliConfig({ HOME: "/h", TYGER_CACHE_FILE: "/t" }, 0).loginFile).toBe("/t");
});

test("the local server is looked for at both sockets, unless one is named", async () => {
  const sockets = await readCliConfig({ TYGER_DATA_DIR: "/d", XDG_RUNTIME_DIR: "/r" }, 0).localSockets();
  expect(sockets).toEqual(["/opt/tyger/api.sock", expect.stringMatching(/^\/r\/tyger\/[0-9a-f]+\/api\.sock$/)]);
  expect(await readCliConfig({ TYGER_SOCKET_PATH: "/s" }, 0).localSockets()).toEqual(["/s"]);
});
