import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { expect, inject, onTestFinished, test } from "vitest";
import { eventually } from "../eventually.ts";
import { docker, ENGINE_ENV, startEngine, type TestEngine } from "./engine.ts";
import { createRun, enginesOf, installationOf, run, showRun, startStack, type TestStack } from "./stack.ts";

/** Longer than a watcher needs to list everything again and to take a container for gone, and than a reconciler waits. */
const BROKEN_MS = 75_000;
const LONG = { withinMs: 90_000, everyMs: 500 };
/** Ends once its input buffer has been written, which needs no engine. */
const COPY = 'echo begun; cat "$INPUT_PIPE" > "$OUTPUT_PIPE"';
const BEGUN = "[main] begun\n";
const BUFFERS = { inputs: ["input"], outputs: ["output"] };

interface Engines {
  host: string;
  engine: TestEngine;
  config: string;
}

/** An engine of the test's own, whose containers continue without it, and a configuration with it as the second cluster. */
async function twoEngines(): Promise<Engines> {
  const home = await mkdtemp(join(tmpdir(), "tyger-clusters-"));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const host = `unix://${home}/docker.sock`;
  const folders = [
    "--data-root",
    join(home, "data"),
    "--exec-root",
    join(home, "exec"),
    "--pidfile",
    join(home, "pid"),
  ];
  const network = ["--bridge", "none", "--iptables=false"];
  const engine = await startEngine(host, join(home, "log"), [
    "dockerd",
    "--live-restore",
    "--host",
    host,
    ...folders,
    ...network,
  ]);
  onTestFinished(async () => {
    // A test that fails while it is away leaves containers that only an engine can remove.
    if ((await docker(host, ["info"])).code !== 0) await engine.start();
    const left = (await docker(host, ["ps", "--all", "--quiet"])).stdout.toString().split("\n").filter(Boolean);
    if (left.length > 0) await docker(host, ["rm", "--force", ...left]);
    await engine.stop();
    // One that was killed leaves its own mounts behind.
    const mounts = (await readFile("/proc/self/mountinfo", "utf8")).split("\n").map((line) => line.split(" ")[4] ?? "");
    for (const mount of mounts.filter((path) => path.startsWith(home)).toReversed()) {
      await run("umount", [mount], { env: ENGINE_ENV });
    }
  });
  const config = join(home, "tyger.yml");
  await writeFile(
    config,
    JSON.stringify({ clusters: [{ name: "main" }, { name: "second", dockerHost: host, maxLiveRuns: 1 }] }),
  );
  return { host, engine, config };
}

/** The names of a run's containers on the engine of the tests and on the other one. */
async function containersOf(stack: TestStack, host: string, id: string): Promise<string[][]> {
  const args = ["ps", "--all", "--filter", `label=tyger-run=${id}`, "--format", "{{.Names}}"];
  const scope = await installationOf(stack);
  const listed = [await run("docker", args, { env: ENGINE_ENV }), await docker(host, args)];
  return listed.map(({ stdout }) =>
    stdout
      .toString()
      .split("\n")
      .filter((name) => name.includes(scope)),
  );
}

const isEnded = async (stack: TestStack, id: string): Promise<boolean> => {
  const { status } = await showRun(stack, id);
  return !["Pending", "Running", "Canceling"].includes(status);
};

const logOf = async (stack: TestStack, id: string): Promise<string> =>
  (await stack.tyger(["run", "logs", id])).stdout.toString();

/** Starts a run that copies its input, and waits for its first line. */
async function startCopy(stack: TestStack, flags: string[]): Promise<string> {
  const id = await createRun(stack, inject("testImage"), COPY, BUFFERS, flags);
  await eventually(async () => (await logOf(stack, id)) === BEGUN, LONG);
  return id;
}

const writeInput = async (stack: TestStack, id: string, input: string): Promise<void> => {
  const buffer = (await showRun(stack, id)).job.buffers["input"] ?? "";
  expect(await stack.tyger(["buffer", "write", buffer], { input })).toMatchObject({ code: 0 });
};

/** How a copy ended, and its result. */
async function resultOf(stack: TestStack, id: string): Promise<object> {
  await eventually(() => isEnded(stack, id), LONG);
  const { status, job } = await showRun(stack, id);
  const output = await stack.tyger(["buffer", "read", job.buffers["output"] ?? ""]);
  return { status, output: output.stdout.toString(), log: await logOf(stack, id) };
}
const copied = (output: string) => ({ status: "Succeeded", output, log: BEGUN });

test("two engines are two clusters: each has its own runs, and one that is killed leaves those of the other alone", async () => {
  const { host, engine, config } = await twoEngines();
  const stack = await startStack({ env: { TYGER_CONFIG: config } });
  onTestFinished(() => stack.down());
  const { postgres: url } = await enginesOf(stack);
  const sql = postgres(`${url}postgres`, { max: 1, onnotice: () => {} });
  onTestFinished(() => sql.end({ timeout: 5 }));
  const shown = (await stack.tyger(["status"])).stdout.toString();
  expect(shown).toContain("cluster 'main'");
  expect(shown).toContain(`Docker        ${host}, cluster 'second'`);

  // Where a run is.
  const refused = await stack.tyger(["run", "create", "-f", "examples/hello.yml", "--cluster", "third"]);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("Unknown cluster 'third'") });
  const hello = ["run", "exec", "-f", "examples/hello.yml", "--cluster", "SECOND"];
  expect((await stack.tyger(hello, { input: "Ada\n" })).stdout.toString()).toBe("Hello Ada\n");
  const here = await startCopy(stack, []);
  const there = await startCopy(stack, ["--cluster", "second"]);
  expect(await showRun(stack, here)).toMatchObject({ cluster: "main" });
  expect(await showRun(stack, there)).toMatchObject({ cluster: "second" });
  const name = (cluster: string, id: string): RegExp => new RegExp(`^tyger-[a-z2-7]{10}-${cluster}-run-${id}-main$`);
  expect(await containersOf(stack, host, here)).toEqual([[expect.stringMatching(name("main", here))], []]);
  expect(await containersOf(stack, host, there)).toEqual([[], [expect.stringMatching(name("second", there))]]);

  // Its cluster has one slot.
  const queued = await createRun(stack, inject("testImage"), "echo queued", {}, ["--cluster", "second"]);
  expect(await sql`select name from leases order by name`).toMatchObject([
    { name: "reconciler-main" },
    { name: "reconciler-second" },
  ]);

  await engine.kill();
  const sinceMs = Date.now();
  const away = (await stack.tyger(["status"])).stdout.toString();
  expect(away).toContain(`Docker        ${host}, cluster 'second': nothing is listening there`);
  await writeInput(stack, there, "while away");
  const next = await startCopy(stack, []);
  for (const id of [here, next]) {
    await writeInput(stack, id, `input of ${id}`);
    expect(await resultOf(stack, id)).toEqual(copied(`input of ${id}`));
  }
  await eventually(() => Date.now() - sinceMs > BROKEN_MS, { withinMs: BROKEN_MS + 10_000, everyMs: 500 });
  // An engine that does not answer says nothing about its runs.
  expect((await showRun(stack, there)).status).toBe("Running");
  expect((await showRun(stack, queued)).status).toBe("Pending");

  await engine.start();
  const backMs = Date.now();
  expect(await resultOf(stack, there)).toEqual(copied("while away"));
  await eventually(() => isEnded(stack, queued), LONG);
  process.stdout.write(
    `the runs of the killed engine ended ${((Date.now() - backMs) / 1000).toFixed(1)} s after it was back\n`,
  );
  expect((await showRun(stack, queued)).status).toBe("Succeeded");
  const leftovers = async (): Promise<string[]> => {
    const folders = await Promise.all(
      ["runs-main", "runs-second"].map((folder) => readdir(join(stack.dataDir, folder))),
    );
    const containers = await Promise.all([here, next, there, queued].map((id) => containersOf(stack, host, id)));
    return [...folders.flat(), ...containers.flat(2)];
  };
  await eventually(async () => (await leftovers()).length === 0, LONG);
}, 300_000);
