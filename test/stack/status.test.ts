import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readStackConfig } from "../../config/stack.ts";
import { describeStack, engineProblems } from "../../stack/status.ts";

test("given servers are shown with their addresses", () => {
  const given = { postgres: "db.example:5433", temporal: "temporal.example:7233" };
  const log = { state: "ready", restarts: 0, logFile: "/l" } as const;
  const processes = [
    { name: "api", ...log },
    { name: "worker", ...log },
  ];
  const text = describeStack(
    { version: "v1", pid: 7, isReady: true, given, dockerHost: "unix:///d", apiSocket: "/a", processes },
    readStackConfig({ HOME: "/home/ada" }),
  );
  expect(text.split("\n").slice(0, 5)).toEqual([
    "The stack is up.",
    "  api     ready, log /l",
    "  worker  ready, log /l",
    "Postgres      db.example:5433, from DATABASE_URL",
    "Temporal      temporal.example:7233, from TEMPORAL_ADDRESS",
  ]);
});

test("runs that the database does not know are listed with the command that ends each", async () => {
  const home = await mkdtemp(join(tmpdir(), "tyger-status-"));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const config = readStackConfig({ TYGER_DATA_DIR: home });
  const { stateDir } = config.paths;
  await mkdir(stateDir, { recursive: true });
  await writeFile(join(stateDir, "installation"), "inst\n");
  const view = { version: "v1", pid: 7, isReady: true, temporal: "127.0.0.1:7", dockerHost: "d", apiSocket: "/a" };
  const shown = () =>
    describeStack({ ...view, processes: [{ name: "api", state: "ready", restarts: 0, logFile: "/l" }] }, config);
  expect(shown()).not.toContain("lost runs");
  await writeFile(join(stateDir, "lost-runs.json"), "[{");
  expect(shown()).toContain(`lost runs     unknown: '${join(stateDir, "lost-runs.json")}' cannot be read`);
  const lost = [
    { id: 7, uid: "a", endCommand: "docker stop tyger-inst-run-7-main" },
    { id: 8, uid: "b" },
  ];
  await writeFile(join(stateDir, "lost-runs.json"), JSON.stringify(lost));
  expect(shown()).toContain(`installation  inst
lost runs     These execute, but the database does not know them: it was restored. Each command ends one.
  docker stop tyger-inst-run-7-main
  temporal workflow terminate --address 127.0.0.1:7 --workflow-id inst-run-8
supervisor `);
});

test("an engine that does not answer is shown with the reason", async () => {
  const clusters = [{ name: "a", dockerHost: "unix:///none/a.sock" }];
  const processes = [{ name: "api", state: "ready", restarts: 0, logFile: "/l" } as const];
  const view = { version: "v1", pid: 7, isReady: true, dockerHost: "unix:///d", apiSocket: "/a", clusters, processes };
  const text = describeStack(view, readStackConfig({ HOME: "/none" }), await engineProblems(view));
  expect(text).toContain("Docker        unix:///none/a.sock: there is no such socket; start the engine");
});

test.each([
  [undefined, ["Docker        unix:///d"]],
  [[{ name: "docker", dockerHost: "unix:///d" }], ["Docker        unix:///d"]],
  [
    [
      { name: "a", dockerHost: "unix:///d" },
      { name: "b", dockerHost: "tcp://127.0.0.1:2375" },
    ],
    ["Docker        unix:///d, cluster 'a'", "Docker        tcp://127.0.0.1:2375, cluster 'b'"],
  ],
])("the engines of %j are shown", (clusters, lines) => {
  const view = { version: "v1", pid: 7, isReady: true, dockerHost: "unix:///d", apiSocket: "/a" };
  const processes = [{ name: "api", state: "ready", restarts: 0, logFile: "/l" } as const];
  const text = describeStack({ ...view, processes, ...(clusters && { clusters }) }, readStackConfig({ HOME: "/none" }));
  expect(text.split("\n").filter((line) => line.startsWith("Docker"))).toEqual(lines);
});

test("the stores of 'up --store' are shown, the default first", () => {
  const processes = [{ name: "api", state: "ready", restarts: 0, logFile: "/l" } as const];
  const view = { version: "v1", pid: 7, isReady: true, dockerHost: "unix:///d", apiSocket: "/a", processes };
  const config = readStackConfig({ HOME: "/none" });
  expect(describeStack({ ...view, stores: ["gs://abc/x", "gs://def"] }, config)).toContain(
    "\nstore         gs://abc/x\nformer store  gs://def, for what is there already\n",
  );
  expect(describeStack({ ...view, stores: [] }, config)).not.toContain("store  ");
});

test("Kubernetes clusters are shown in place of an engine, with their namespaces", async () => {
  const home = await mkdtemp(join(tmpdir(), "tyger-status-"));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const config = readStackConfig({ TYGER_DATA_DIR: home });
  await mkdir(config.paths.stateDir, { recursive: true });
  await writeFile(join(config.paths.stateDir, "installation"), "inst\n");
  const processes = [{ name: "api", state: "ready", restarts: 0, logFile: "/l" } as const];
  const view = { version: "v1", pid: 7, isReady: true, dockerHost: "", clusters: [], apiSocket: "/a", processes };
  const linesOf = (kubernetes: NonNullable<Parameters<typeof describeStack>[0]>["kubernetes"]): string[] =>
    describeStack({ ...view, kubernetes }, config)
      .split("\n")
      .filter((line) => /^(Docker|Kubernetes)/.test(line));
  expect(linesOf([{ name: "kubernetes", words: "'/k'" }])).toEqual(["Kubernetes    '/k', namespace 'tyger-inst'"]);
  expect(
    linesOf([
      { name: "a", words: "'/k', context 'c'", namespace: "jobs" },
      { name: "b", words: "this pod" },
    ]),
  ).toEqual([
    "Kubernetes    '/k', context 'c', namespace 'jobs', cluster 'a'",
    "Kubernetes    this pod, namespace 'tyger-inst', cluster 'b'",
  ]);
  expect(await engineProblems({ ...view, kubernetes: [{ name: "a", words: "'/k'" }] })).toEqual(new Map());
});

test("a stack that is down shows the stores that it will have", async () => {
  const home = await mkdtemp(join(tmpdir(), "tyger-status-"));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const config = readStackConfig({ TYGER_DATA_DIR: home });
  const down = `The stack is down.\ndata folder   ${home}\n`;
  expect(describeStack(undefined, config)).toBe(down);
  await mkdir(config.paths.stateDir);
  const file = join(config.paths.stateDir, "stores.json");
  await writeFile(file, '{"urls":["gs://abc/x"]}');
  expect(describeStack(undefined, config)).toBe(`${down}store         gs://abc/x\n`);
  await writeFile(file, "{");
  expect(describeStack(undefined, config)).toContain(`store         unknown: The file '${file}'`);
});
