import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Client } from "@temporalio/client";
import postgres from "postgres";
import { inject } from "vitest";
import { watcherIdOf, workflowIdOf } from "../../../model/run/names.ts";
import { connectClient } from "../../../temporal/connection.ts";
import { eventually } from "../../eventually.ts";
import { createRun, enginesOf, installationOf, run, startStack, type StackOptions, type TestStack } from "../stack.ts";

/** A stack whose parts a test breaks, with ways to look behind its back. */
export interface Scene {
  stack: TestStack;
  installation: string;
  sql: postgres.Sql;
  temporal: Client;
  /** How often containers of a run were started. */
  startsOf(runId: string): number;
  close(): Promise<void>;
}

export interface Row {
  id: number;
  status: string;
  status_reason: string | null;
  is_archived: boolean;
}

/** Everything is to be healed within this time after the broken part is back. */
const HEALED_MS = 60_000;

export async function openScene(options: StackOptions = {}): Promise<Scene> {
  const stack = await startStack(options);
  const engines = await enginesOf(stack);
  const sql = postgres(`${engines.postgres}postgres`, { max: 1, onnotice: () => {} });
  const temporal = await connectClient({ address: engines.temporal, namespace: "default" }, 10_000);
  const installation = await installationOf(stack);
  const starts = followStarts(stack, installation);
  return {
    stack,
    installation,
    sql,
    temporal,
    startsOf: (runId) => starts.runIds.filter((id) => id === runId).length,
    async close() {
      starts.stop();
      await sql.end({ timeout: 5 });
      await temporal.connection.close();
      await stack.down();
    },
  };
}

/** The numbers of runs whose containers start, from now on: the engine itself remembers only its last events. */
function followStarts(stack: TestStack, installation: string): { runIds: string[]; stop(): void } {
  const filters = ["--filter", `label=tyger-installation=${installation}`, "--filter", "event=start"];
  const format = '{{index .Actor.Attributes "tyger-run"}}';
  const child = spawn("docker", ["events", ...filters, "--format", format], {
    env: stack.env,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const runIds: string[] = [];
  createInterface(child.stdout).on("line", (runId) => runIds.push(runId));
  return { runIds, stop: () => void child.kill() };
}

/** Waits until a fault is healed, and prints how long that took since the broken part was back. */
export async function healed(fault: string, isHealed: () => Promise<boolean>, sinceMs = Date.now()): Promise<void> {
  await eventually(isHealed, { withinMs: HEALED_MS, everyMs: 200 });
  const seconds = ((Date.now() - sinceMs) / 1000).toFixed(1);
  process.stdout.write(`healed ${seconds} s after the broken part was back: ${fault}\n`);
}

/** Waits for as long as a part is broken, which is the point of the test. */
export const untilBrokenFor = (seconds: number, sinceMs: number): Promise<boolean> =>
  eventually(() => Date.now() - sinceMs >= seconds * 1000, { withinMs: seconds * 1000 + 10_000, everyMs: 500 });

export async function rowsOf({ sql }: Scene, ids: readonly string[]): Promise<Row[]> {
  const rows = await sql<Row[]>`select id::int, status::text, status_reason, archived_at is not null as is_archived
    from runs where id = any(${ids.map(Number)}::bigint[]) order by id`;
  return [...rows];
}

/** The runs that have not ended, or are not archived, after a while. */
export async function undoneOf({ sql }: Scene): Promise<Row[]> {
  const undone = () => sql<Row[]>`select id::int, status::text, status_reason, archived_at is not null as is_archived
    from runs where status in ('Pending', 'Running') or archived_at is null order by id`;
  await eventually(async () => (await undone()).length === 0, { withinMs: 30_000, everyMs: 500 }).catch(
    () => undefined,
  );
  return [...(await undone())];
}

export async function rowOf(scene: Scene, id: string): Promise<Row> {
  const [row] = await rowsOf(scene, [id]);
  if (!row) throw new Error(`There is no run '${id}'`);
  return row;
}

/** Whether each of the runs has this status. */
export const areAll = async (scene: Scene, ids: readonly string[], status: string): Promise<boolean> =>
  (await rowsOf(scene, ids)).every((row) => row.status === status);

/** Whether each of the runs is completely done: archived, and nothing of it is left in the engine. */
export async function areCleanedUp(scene: Scene, ids: readonly string[]): Promise<boolean> {
  const rows = await rowsOf(scene, ids);
  return rows.every((row) => row.is_archived) && (await containersOfRuns(scene, ids)).length === 0;
}

export const docker = ({ stack }: Scene, ...args: string[]) => run("docker", args, { env: stack.env });

const labelOf = ({ installation }: Scene): string => `label=tyger-installation=${installation}`;

interface ListedContainer {
  id: string;
  runId: string;
  state: string;
}

export async function containersOfRuns(scene: Scene, ids: readonly string[]): Promise<ListedContainer[]> {
  const format = '{{.ID}} {{.Label "tyger-run"}} {{.State}}';
  const { stdout } = await docker(scene, "ps", "--all", "--filter", labelOf(scene), "--format", format);
  return stdout
    .toString()
    .split("\n")
    .flatMap((line) => {
      const [id = "", runId = "", state = ""] = line.split(" ");
      return ids.includes(runId) ? { id, runId, state } : [];
    });
}

/** Ends with the code that the test writes to its pipe. */
const UNTIL_TOLD = 'mkfifo /tmp/end; echo begun; read -r code < /tmp/end; exit "$code"';

/** Jobs that run until {@link endJob} ends them. */
export async function startJobs(scene: Scene, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n++) ids.push(await createRun(scene.stack, inject("testImage"), UNTIL_TOLD, {}));
  await eventually(() => areAll(scene, ids, "Running"), { withinMs: 60_000, everyMs: 200 });
  return ids;
}

export const createJob = ({ stack }: Scene): Promise<string> =>
  createRun(stack, inject("testImage"), UNTIL_TOLD, { outputs: ["output"] });

export async function endJob(scene: Scene, runId: string, code = 0): Promise<void> {
  let isTold = false;
  const end = async (): Promise<boolean> => {
    const [container] = await containersOfRuns(scene, [runId]);
    if (isTold && container?.state !== "running") return true;
    if (!container) return false;
    const tell = `test -p /tmp/end && echo ${code} > /tmp/end`;
    const told = await docker(scene, "exec", container.id, "bash", "-c", tell);
    // A job that ends at once takes this shell with it, which then has another code than that of `test`.
    isTold ||= told.code !== 1;
    return told.code === 0;
  };
  await eventually(end, { withinMs: 20_000, everyMs: 200 });
}

/** Terminates all open workflows, runs and watcher, as "terminate all" in the Web UI does. */
export async function terminateAll({ temporal, installation }: Scene): Promise<void> {
  const query = `ExecutionStatus = "Running" AND TaskQueue = "${installation}-docker"`;
  for await (const { workflowId } of temporal.workflow.list({ query })) {
    await temporal.workflow.getHandle(workflowId).terminate("by a test");
  }
}

/** The status of a run's workflow, or of the watcher's; `NONE` when Temporal does not know it. */
export async function workflowStatusOf({ temporal, installation }: Scene, of: string): Promise<string> {
  const workflowId = of === "watcher" ? watcherIdOf(installation, "docker") : workflowIdOf(installation, Number(of));
  try {
    return (await temporal.workflow.getHandle(workflowId).describe()).status.name;
  } catch (err) {
    if (err instanceof Error && err.name === "WorkflowNotFoundError") return "NONE";
    throw err;
  }
}

/** Starts a second process as `pid` was started, with `change` made to its arguments and its environment. */
export async function likeProcess(
  pid: number,
  change: (text: string) => string,
): Promise<{ command: string; args: string[]; env: Record<string, string> }> {
  const textsIn = async (file: string): Promise<string[]> =>
    (await readFile(`/proc/${pid}/${file}`, "utf8")).split("\0").filter(Boolean).map(change);
  const [command = "", ...args] = await textsIn("cmdline");
  const variables = (await textsIn("environ")).map((text) => {
    const at = text.indexOf("=");
    return [text.slice(0, at), text.slice(at + 1)] as const;
  });
  return { command, args, env: Object.fromEntries(variables) };
}
