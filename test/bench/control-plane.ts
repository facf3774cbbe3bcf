import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { Agent, request, type IncomingMessage } from "node:http";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, Connection } from "@temporalio/client";
import postgres from "postgres";
import { WORKER_FLAGS } from "../../stack/server-processes.ts";
import { enginesOf, type TestStack } from "../e2e/stack.ts";
import { eventually } from "../eventually.ts";
import { memoryOf } from "./memory.ts";
import { timed, type Comparison, type Limits } from "./measure.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const IN_FLIGHT = 16;
const RUNS = 100;
const WAITING_RUNS = 5000;
const SETTLE_MS = 30_000;
/** Long enough for one listing of everything by the watcher and six looks by the reconciler. */
const WATCHED_MS = 65_000;
const CLOCK_TICKS = 100;

/** Our API and worker on the engines of a stack, with a database of their own and jobs that do nothing. */
interface NullPlane {
  workerPid: number;
  create(): Promise<number>;
  /** Ends with the run. */
  watch(id: number): Promise<string>;
  countOf(status: string): Promise<number>;
  close(): Promise<void>;
}

async function openNullPlane(stack: TestStack, dir: string, name: string, jobMs: number): Promise<NullPlane> {
  const engines = await enginesOf(stack);
  const admin = postgres(`${engines.postgres}postgres`, { max: 1 });
  await admin.unsafe(`create database bench_${name}`);
  await admin.end();
  const home = join(dir, name);
  await mkdir(home);
  const socket = join(home, "api.sock");
  const env = {
    PATH: stack.env["PATH"] ?? "",
    DATABASE_URL: `${engines.postgres}bench_${name}`,
    TEMPORAL_ADDRESS: engines.temporal,
    TYGER_DATA_DIR: home,
    TYGER_API_SOCKET: socket,
    TYGER_DATA_SOCKET: join(home, "data.sock"),
    TYGER_WORKFLOW_BUNDLE: join(ROOT, "dist/workflows.js"),
    TYGER_PUMP_MAIN: join(ROOT, "dist/pump.js"),
    TYGER_MAX_LIVE_RUNS: String(WAITING_RUNS),
    TYGER_LOG_LEVEL: "error",
    BENCH_JOB_MS: String(jobMs),
  };
  const start = (main: string): ChildProcess => {
    const log = openSync(join(home, "log"), "a");
    const child = spawn(process.execPath, [...WORKER_FLAGS, main], { env, stdio: ["ignore", log, log] });
    closeSync(log);
    return child;
  };
  const children = [start(join(ROOT, "dist/api.js")), start(join(import.meta.dirname, "null-worker-main.ts"))] as const;
  const agent = new Agent({ keepAlive: true });

  async function* lines(method: "GET" | "POST", path: string, body?: object): AsyncGenerator<string> {
    const headers = body ? { "content-type": "application/json" } : {};
    const sent = request({ socketPath: socket, agent, method, path: `${path}api-version=1.0`, headers });
    sent.end(body && JSON.stringify(body));
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    let text = "";
    for await (const line of createInterface({ input: answer })) {
      text = line;
      yield line;
    }
    if ((answer.statusCode ?? 500) >= 300) throw new Error(`${method} ${path} answered ${answer.statusCode}: ${text}`);
  }
  const lastOf = async <T>(...asked: Parameters<typeof lines>): Promise<T> => {
    let last = "null";
    for await (const line of lines(...asked)) last = line;
    return JSON.parse(last) as T;
  };
  const job = { codespec: { kind: "job", image: "ubuntu", command: ["true"] } };
  const plane: NullPlane = {
    workerPid: children[1].pid ?? 0,
    create: async () => (await lastOf<{ id: number }>("POST", "/runs?", { job })).id,
    watch: async (id) => (await lastOf<{ status: string }>("GET", `/runs/${id}?watch=true&`)).status,
    countOf: async (status) => (await lastOf<Record<string, number>>("GET", "/runs/counts?"))[status] ?? 0,
    async close() {
      agent.destroy();
      for (const child of children) {
        child.kill("SIGTERM");
        if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      }
    },
  };
  const isUp = async (): Promise<boolean> => {
    const ready = await readFile(join(home, "state/worker.ready"), "utf8");
    return ready !== "" && (await plane.countOf("failed")) === 0;
  };
  try {
    await eventually(() => isUp().catch(() => false), { withinMs: 60_000 });
    return plane;
  } catch (cause) {
    await plane.close();
    throw new Error(`API and worker did not come up: ${readFileSync(join(home, "log"), "utf8")}`, { cause });
  }
}

/** `work` for each of `count`, IN_FLIGHT at a time. */
async function inFlight(count: number, work: () => Promise<unknown>): Promise<void> {
  let begun = 0;
  const one = async (): Promise<void> => {
    while (begun < count) {
      begun += 1;
      await work();
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, one));
}

/** The rivals of the control plane: workflows of steps that do nothing, on the same server. */
const BARE = {
  "control-plane": { workflow: "bareWorkflow", rivalName: "a workflow of one activity" },
  "control-plane-steps": { workflow: "stepsWorkflow", rivalName: "a workflow of the same steps" },
};

/** Runs whose container is nothing, against bare workflows. */
export function controlPlaneComparison(stack: TestStack, dir: string, name: keyof typeof BARE): Comparison {
  const { workflow, rivalName } = BARE[name];
  const taskQueue = `bench-${name}`;
  let plane: NullPlane | undefined;
  let bare: { client: Client; worker: ChildProcess } | undefined;
  const openBare = async () => {
    const { temporal } = await enginesOf(stack);
    const main = join(import.meta.dirname, "bare-worker-main.ts");
    const worker = spawn(process.execPath, [...WORKER_FLAGS, main, temporal, taskQueue], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(worker.stdout, "data");
    return { client: new Client({ connection: await Connection.connect({ address: temporal }) }), worker };
  };
  return {
    name,
    unit: "runs/s",
    repeats: 5,
    async ours() {
      const opened = (plane ??= await openNullPlane(stack, dir, name.replaceAll("-", "_"), 0));
      const run = async (): Promise<void> => {
        const status = await opened.watch(await opened.create());
        if (status !== "Succeeded") throw new Error(`A run of nothing ended as ${status}`);
      };
      return (RUNS * 1000) / (await timed(() => inFlight(RUNS, run)));
    },
    async rival(round) {
      const { client } = (bare ??= await openBare());
      let id = 0;
      const run = () =>
        client.workflow.execute(workflow, { taskQueue, workflowId: `bare-${name}-${round}-${(id += 1)}` });
      return (RUNS * 1000) / (await timed(() => inFlight(RUNS, run)));
    },
    rivalName: `${rivalName}, ${IN_FLIGHT} in flight`,
    budget: { p50: 0.6 },
    async close() {
      await plane?.close();
      await bare?.client.connection.close();
      bare?.worker.kill("SIGTERM");
    },
  };
}

/** The cost of the worker while nothing happens to many runs. */
export function waitingRunsLimits(stack: TestStack, dir: string): Limits {
  return {
    name: "waiting-runs",
    repeats: 1,
    bounds: [
      { what: "worker's CPU", unit: "% of a core", atMost: 5 },
      { what: "worker's memory", unit: "MiB", atMost: 500 },
    ],
    async measure() {
      const plane = await openNullPlane(stack, dir, "waiting", 3_600_000);
      try {
        await inFlight(WAITING_RUNS, () => plane.create());
        const areAllRunning = async () => (await plane.countOf("running")) === WAITING_RUNS;
        await eventually(areAllRunning, { withinMs: 1_800_000, everyMs: 1000 });
        await sleep(SETTLE_MS);
        const before = cpuSecondsOf(plane.workerPid);
        await sleep(WATCHED_MS);
        const percent = ((cpuSecondsOf(plane.workerPid) - before) / (WATCHED_MS / 1000)) * 100;
        return [percent, memoryOf(plane.workerPid, "VmRSS")];
      } finally {
        await plane.close();
      }
    },
  };
}

function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}
