import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { engineAt } from "../../../stack/docker/docker-engine.ts";
import { leaveDockerd, lockDockerd, startDockerd, type DockerdFiles } from "../../../stack/docker/dockerd.ts";
import { claimEngine, stackNameOf, usersOf } from "../../../stack/docker/engine-claims.ts";
import { identify } from "../../../stack/host/processes.ts";
import { eventually } from "../../eventually.ts";

const OUR_STACK = { runtimeDir: "/run/ours" };
const OTHER_STACK = stackNameOf({ runtimeDir: "/run/other" });

let place: DockerdFiles;
let api: Server;
let dockerd: ChildProcess;
/** The containers that the engine lists as running. */
let containers: unknown[];
beforeEach(async () => {
  const folder = mkdtempSync(join(tmpdir(), "tyger-dockerd-"));
  const socket = join(folder, "docker.sock");
  const pidFiles = { dockerd: join(folder, "docker.pid"), containerd: join(folder, "containerd.pid") };
  place = { folder, engine: engineAt(`unix://${socket}`), pidFiles };
  containers = [];
  api = createServer((_request, response) => response.end(`${JSON.stringify(containers)}\n`));
  await new Promise<void>((resolve) => api.listen(socket, resolve));
  dockerd = spawn("sleep", ["600"], { stdio: "ignore" });
  writeFileSync(join(folder, "process.json"), JSON.stringify(identify(dockerd.pid ?? 0)));
});
afterEach(async () => {
  dockerd.kill("SIGKILL");
  await new Promise((resolve) => api.close(resolve));
  rmSync(place.folder, { recursive: true, force: true });
});

/** Stands for a dockerd that refuses to start while its pid file names a process, whichever, as the real one does. */
function makeDockerd(): string {
  const script = `#!${process.execPath}
    const { existsSync, readFileSync, writeFileSync } = require("node:fs");
    const { dockerd, containerd } = ${JSON.stringify(place.pidFiles)};
    for (const file of [dockerd, containerd]) {
      if (existsSync(file) && existsSync("/proc/" + readFileSync(file, "utf8").trim())) process.exit(1);
    }
    writeFileSync(dockerd, String(process.pid));
    setTimeout(() => process.exit(), 30_000);
    require("node:http").createServer((_, answer) => answer.end("[]")).listen(${JSON.stringify(`${place.folder}/docker.sock`)});`;
  for (const name of ["dockerd", "iptables"]) writeFileSync(join(place.folder, name), script, { mode: 0o755 });
  return place.folder;
}

/** A process of another stack that claims the engine; `first` is code that it runs before that. */
async function startOther({ stack = OTHER_STACK, first = "" } = {}): Promise<ChildProcess> {
  const moduleOf = (name: string) => JSON.stringify(import.meta.resolve(`../../../stack/docker/${name}.ts`));
  const script = `const { engineAt } = await import(${moduleOf("docker-engine")});
    const { claimEngine } = await import(${moduleOf("engine-claims")});
    ${first}
    await claimEngine(engineAt(${JSON.stringify(place.engine.host)}), ${JSON.stringify(stack)});
    setInterval(() => {}, 1000); process.stdout.write("held");`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child;
}

test("the last stack that leaves ends the dockerd that was started for them", async () => {
  expect(await leaveDockerd(OUR_STACK, () => {}, place)).toBe("stopped");
  await eventually(() => dockerd.signalCode === "SIGTERM");
  expect(await leaveDockerd(OUR_STACK, () => {}, place)).toBeUndefined();
});

test("another stack holds the engine while it lives, and no longer when it was killed", async () => {
  const other = await startOther();
  expect(await leaveDockerd(OUR_STACK, () => {}, place)).toBe(`a stack of user ${process.getuid?.()} uses it`);
  other.kill("SIGKILL");
  await eventually(() => usersOf(place.engine).length === 0);
  expect(await leaveDockerd(OUR_STACK, () => {}, place)).toBe("stopped");
});

test("a stack's own claims do not hold the engine when it leaves, those of others on another engine neither", async () => {
  const other = { ...place.engine, host: "unix:///run/docker-other.sock" };
  const claims = [await claimEngine(place.engine, stackNameOf(OUR_STACK)), await claimEngine(other, OTHER_STACK)];
  onTestFinished(async () => {
    for (const claim of claims) await claim[Symbol.asyncDispose]();
  });
  expect(await leaveDockerd(OUR_STACK, () => {}, place)).toBe("stopped");
});

test("a claim counts by whatever path the engine's socket is reached", async () => {
  const link = `${place.folder}.link`;
  symlinkSync(place.folder, link);
  onTestFinished(() => rmSync(link));
  await using _claim = await claimEngine(engineAt(`unix://${link}/docker.sock`), OTHER_STACK);
  expect(await leaveDockerd(OUR_STACK, () => {}, place)).toBe(`a stack of user ${process.getuid?.()} uses it`);
});

const OTHER_UID = 65_534;
const AS_OTHER = `process.setgroups([]); process.setgid(${OTHER_UID}); process.setuid(${OTHER_UID});`;

const IS_ROOT = process.getuid?.() === 0;
const NEEDS_ROOT = "only root can act as another user";

test("a stack of another user holds the engine", async ({ skip }) => {
  skip(!IS_ROOT, NEEDS_ROOT);
  await startOther({ stack: `cafe-${OTHER_UID}`, first: AS_OTHER });
  expect(await leaveDockerd(OUR_STACK, () => {}, place)).toBe(`a stack of user ${OTHER_UID} uses it`);
});

test.for<[string, Parameters<typeof startOther>[0]]>([
  ["of another user's stack", { stack: "cafe-0", first: AS_OTHER }],
  ["of a process that does not hold it", { first: 'Object.defineProperty(process, "pid", { value: process.ppid });' }],
  ["of no process", { first: 'Object.defineProperty(process, "pid", { value: 4194305 });' }],
])("a claim %s does not count: any user can take a name", async ([, forged], { skip }) => {
  skip(!IS_ROOT, NEEDS_ROOT);
  await startOther(forged);
  expect(await leaveDockerd(OUR_STACK, () => {}, place)).toBe("stopped");
});

test("a claim counts for a root with fewer rights, who may not look into it", async ({ skip }) => {
  skip(!IS_ROOT, NEEDS_ROOT);
  await startOther();
  const moduleOf = (name: string) => JSON.stringify(import.meta.resolve(`../../../stack/docker/${name}.ts`));
  const script = `const { engineAt } = await import(${moduleOf("docker-engine")});
    const { usersOf } = await import(${moduleOf("engine-claims")});
    console.log(JSON.stringify(usersOf(engineAt(${JSON.stringify(place.engine.host)}))));`;
  const args = ["--bounding-set=-all", "--inh-caps=-all", process.execPath, "--input-type=module", "-e", script];
  const { stdout } = await promisify(execFile)("setpriv", args);
  expect(JSON.parse(stdout)).toEqual([{ stack: OTHER_STACK, uid: 0 }]);
});

test("an engine that does not answer is left alone", async () => {
  await new Promise((resolve) => api.close(resolve));
  expect(await leaveDockerd(OUR_STACK, () => {}, place)).toBe("it did not answer, so it may be in use");
  expect(identify(dockerd.pid ?? 0)).toBeDefined();
});

test("a command that stops the engine waits for one that starts it, and then sees its claim", async () => {
  const said: string[] = [];
  const locked = await lockDockerd(() => {}, place);
  const leaving = leaveDockerd(OUR_STACK, (line) => void said.push(line), place);
  await eventually(() => said.length > 0);
  expect(said).toEqual(["waiting for another 'tyger up' or 'tyger down' that starts or stops the Docker engine"]);
  await using _claim = await claimEngine(place.engine, OTHER_STACK);
  await locked[Symbol.asyncDispose]();
  expect(await leaving).toBe(`a stack of user ${process.getuid?.()} uses it`);
});

test("a container that runs holds the engine", async () => {
  containers = [{ Id: "c0ffee" }];
  expect(await leaveDockerd(OUR_STACK, () => {}, place)).toBe("containers are running on it");
});

test.each([
  ["of another boot", { bootId: "before" }],
  ["that started at another time", { startTime: "1" }],
])("a recorded dockerd %s is not ours: another process has its pid by now", async (_when, differing) => {
  writeFileSync(join(place.folder, "process.json"), JSON.stringify({ ...identify(dockerd.pid ?? 0), ...differing }));
  expect(await leaveDockerd(OUR_STACK, () => {}, place)).toBeUndefined();
  expect(identify(dockerd.pid ?? 0)).toBeDefined();
});

test("a record of the dockerd that a loss of power has torn counts as none", async () => {
  writeFileSync(join(place.folder, "process.json"), '{"pid":');
  expect(await leaveDockerd(OUR_STACK, () => {}, place)).toBeUndefined();
});

test.each(["dockerd", "containerd"] as const)(
  "a pid file of %s with the pid of a stranger does not keep the engine from starting",
  async (name) => {
    await new Promise((resolve) => api.close(resolve));
    const stranger = dockerd.pid ?? 0;
    writeFileSync(place.pidFiles[name], String(stranger));
    await startDockerd({ path: makeDockerd(), report: () => {} }, place);
    expect(identify(stranger)).toBeDefined();
    expect(await leaveDockerd(OUR_STACK, () => {}, place)).toBe("stopped");
  },
);

test("a pid file that names a dockerd stays, for no second one may start", async () => {
  await new Promise((resolve) => api.close(resolve));
  const path = makeDockerd();
  mkdirSync(join(place.folder, "first"));
  symlinkSync("/bin/sleep", join(place.folder, "first/dockerd"));
  const first = spawn(join(place.folder, "first/dockerd"), ["600"], { argv0: "sleep", stdio: "ignore" });
  onTestFinished(() => void first.kill("SIGKILL"));
  writeFileSync(place.pidFiles.dockerd, String(first.pid));
  await expect(startDockerd({ path, report: () => {} }, place)).rejects.toThrow("The Docker engine did not start");
  expect(readFileSync(place.pidFiles.dockerd, "utf8")).toBe(String(first.pid));
});
