import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { askSupervisor, controlSocketOf, type StackView } from "../../../stack/supervisor/control.ts";
import { engineAt } from "../../../stack/docker/docker-engine.ts";
import { stackNameOf, usersOf } from "../../../stack/docker/engine-claims.ts";
import { readProcessRecord, writeProcessRecord } from "../../../stack/supervisor/process-record.ts";
import { identify, isAlive } from "../../../stack/host/processes.ts";
import type { ProcessSpec } from "../../../stack/supervisor/process-spec.ts";
import { supervise } from "../../../stack/supervisor/supervisor.ts";
import { eventually } from "../../eventually.ts";

let home: string;
let stops: (() => Promise<void>)[] = [];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tyger-sup-"));
  mkdirSync(join(home, "state"));
  mkdirSync(runtimeDir());
});
afterEach(async () => {
  await Promise.all(stops.map((stop) => stop()));
  stops = [];
  rmSync(home, { recursive: true, force: true });
});

const stateDir = () => join(home, "state");
// The last part is the name of the lock.
const runtimeDir = () => join(home, basename(home));
const ask = (op: "status" | "stop") => askSupervisor(controlSocketOf(runtimeDir()), op, 10_000);

/** A process that writes its name to order.log when it starts and when it is told to end. */
function spec(name: string, more: Partial<ProcessSpec> = {}): ProcessSpec {
  const script = `trap 'echo ${name} ends >> order.log; exit 0' TERM; echo ${name} starts >> order.log; touch ${name}.ready; while :; do sleep 0.02; done`;
  return {
    name,
    command: "/bin/sh",
    args: ["-c", script],
    env: { PATH: process.env["PATH"] ?? "" },
    cwd: home,
    logFile: join(home, `${name}.log`),
    stopSignal: "SIGTERM",
    graceMs: 5000,
    isReady: async () => existsSync(join(home, `${name}.ready`)),
    ...more,
  };
}

async function start(...stages: ProcessSpec[][]): Promise<void> {
  await startWith({}, ...stages);
}

async function startWith(
  more: { startWithinMs?: number },
  ...stages: ProcessSpec[][]
): Promise<{ ended: Promise<void> }> {
  const paths = { dataDir: home, stateDir: stateDir(), runtimeDir: runtimeDir(), apiSocket: "", dataSocket: "" };
  const settings = {
    version: "v1",
    paths,
    dockerHost: "unix:///none",
    clusters: [{ name: "docker", dockerHost: "unix:///none" }],
    kubernetes: [],
    stores: [],
    path: "/bin",
  };
  const supervisor = await supervise({ settings, stages, log: () => {}, ...more });
  stops.push(() => supervisor.stop());
  return supervisor;
}

const ready = () =>
  eventually(async () => {
    const view = await ask("status");
    return view?.isReady ? view : undefined;
  });
const pidOf = (view: StackView, name: string) => view.processes.find((one) => one.name === name)?.pid ?? 0;
const order = () => readFileSync(join(home, "order.log"), "utf8").trim().split("\n");

test("processes start stage by stage and end the other way round", async () => {
  await start([spec("service")], [spec("server")]);
  await ready();
  const view = await ask("stop");
  expect(view?.processes.map(({ state }) => state)).toEqual(["stopped", "stopped"]);
  expect(order()).toEqual(["service starts", "server starts", "server ends", "service ends"]);
});

test("a process that is killed is started again within a second, the others stay", async () => {
  await start([spec("service")], [spec("server")]);
  const before = await ready();
  process.kill(pidOf(before, "service"), "SIGKILL");
  const after = await eventually(
    async () => {
      const view = await ask("status");
      const pid = view && pidOf(view, "service");
      return view?.isReady && pid && pid !== pidOf(before, "service") ? view : undefined;
    },
    { withinMs: 1000 },
  );
  expect(pidOf(after, "server")).toBe(pidOf(before, "server"));
  expect(after.processes[0]).toMatchObject({ restarts: 1, lastExit: "ended by SIGKILL" });
});

test("a process that cannot start is tried again, and its failure is reported", async () => {
  await start([spec("broken", { command: "/nowhere/at-all" })]);
  const view = await eventually(async () => {
    const view = await ask("status");
    return (view?.processes[0]?.restarts ?? 0) >= 3 ? view : undefined;
  });
  expect(view.isReady).toBe(false);
  expect(view.processes[0]?.lastExit).toContain("ENOENT");
});

test("a supervisor whose processes do not get ready ends by itself: the up that was to stop it may be gone", async () => {
  const supervisor = await startWith({ startWithinMs: 500 }, [spec("service")], [spec("broken", { command: "/none" })]);
  const service = await eventually(async () => (await ask("status"))?.processes[0]?.pid);
  await supervisor.ended;
  expect(identify(service)).toBeUndefined();
  expect(await ask("status")).toBeUndefined();
});

test("a supervisor whose processes were all ready once retries forever", async () => {
  let isBroken = false;
  const prepare = async () => {
    if (isBroken) throw new Error("The disk is full");
  };
  await startWith({ startWithinMs: 1000 }, [spec("service", { prepare })]);
  const service = pidOf(await ready(), "service");
  isBroken = true;
  process.kill(service, "SIGKILL");
  // Its pauses alone are longer than it had for its first start.
  await eventually(async () => ((await ask("status"))?.processes[0]?.restarts ?? 0) >= 5);
  isBroken = false;
  expect(pidOf(await ready(), "service")).not.toBe(service);
});

test("a process that ignores the request to end is killed", async () => {
  const stubborn = spec("stubborn", {
    args: ["-c", "trap '' TERM; touch stubborn.ready; while :; do sleep 0.02; done"],
    graceMs: 200,
  });
  await start([stubborn]);
  const pid = pidOf(await ready(), "stubborn");
  await ask("stop");
  expect(identify(pid)).toBeUndefined();
});

test("a stack has one supervisor", async () => {
  await start([spec("service")]);
  await expect(start([spec("service")])).rejects.toThrow("Another supervisor is already running the stack");
});

test("a stack claims its Docker engine until it has ended", async () => {
  await start([spec("service")]);
  const claims = () =>
    usersOf(engineAt("unix:///none")).filter(({ stack }) => stack === stackNameOf({ runtimeDir: runtimeDir() }));
  expect(claims()).toHaveLength(1);
  await ask("stop");
  expect(claims()).toEqual([]);
});

test("processes left by a killed supervisor are ended before anything starts", async () => {
  const orphan = spawn("/bin/sleep", ["60"], { stdio: "ignore" });
  const gone = spawn("/bin/true", [], { stdio: "ignore" });
  const supervisor = identify(gone.pid ?? 0) ?? { pid: 999_999_999, startTime: "1", bootId: "" };
  const left = identify(orphan.pid ?? 0);
  if (!left) throw new Error("The orphan did not start");
  await new Promise((resolve) => gone.once("exit", resolve));
  writeProcessRecord(stateDir(), {
    controlSocket: "",
    supervisor,
    processes: { service: { ...left, stopSignal: "SIGTERM" } },
  });
  await start([spec("service")]);
  expect(isAlive(left)).toBe(false);
  const view = await ready();
  expect(readProcessRecord(stateDir())?.processes["service"]?.pid).toBe(pidOf(view, "service"));
});

test.each([
  ["that the kernel gave to another process", { startTime: "1" }],
  ["of another boot", { bootId: "before" }],
])("a pid %s is left alone", async (_which, differing) => {
  const stranger = spawn("/bin/sleep", ["60"], { stdio: "ignore" });
  const pid = stranger.pid ?? 0;
  const alive = identify(pid);
  if (!alive) throw new Error("The stranger did not start");
  const identity = { ...alive, ...differing };
  writeProcessRecord(stateDir(), {
    controlSocket: "",
    supervisor: identity,
    processes: { service: { ...identity, stopSignal: "SIGTERM" } },
  });
  await start([spec("service")]);
  expect(identify(pid)).toBeDefined();
  stranger.kill("SIGKILL");
});

test("while the processes cannot be put on record none is started twice, and later they are", async () => {
  await start([spec("service")]);
  const before = await ready();
  // Stands for a full disk, which refuses the file just so.
  const record = join(stateDir(), "processes.json");
  rmSync(record);
  mkdirSync(record);
  process.kill(pidOf(before, "service"), "SIGKILL");
  const after = await eventually(async () => {
    const view = await ask("status");
    return view?.isReady && pidOf(view, "service") !== pidOf(before, "service") ? view : undefined;
  });
  rmSync(record, { recursive: true });
  await eventually(() => readProcessRecord(stateDir())?.processes["service"]?.pid === pidOf(after, "service"));
  expect(order()).toEqual(["service starts", "service starts"]);
});

test("a record that a loss of power has torn counts as none", async () => {
  writeFileSync(join(stateDir(), "processes.json"), '{"controlSocket":"/run');
  await start([spec("service")]);
  expect((await ready()).processes).toHaveLength(1);
});
