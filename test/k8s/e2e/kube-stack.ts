import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { inject } from "vitest";
import type { JobCodespec } from "../../../model/codespec/codespec.ts";
import { installationOf, startStack, type CommandResult, type ShownRun, type TestStack } from "../../e2e/stack.ts";
import { eventually } from "../../eventually.ts";

const execute = promisify(execFile);

/** A pod takes a few seconds on a machine that does nothing else. */
export const PATIENT = { withinMs: 90_000, everyMs: 250 };

/** Administers the cluster of the tests. */
export const kubectl = async (...args: string[]): Promise<string> =>
  (await execute("kubectl", ["--kubeconfig", inject("kubeconfig"), ...args])).stdout;

/** A stack whose jobs are pods. */
export interface KubeStack {
  stack: TestStack;
  installation: string;
  /** A run file. */
  fileOf(codespec: Partial<JobCodespec>): Promise<string>;
  /** Gives its id. */
  create(codespec: Partial<JobCodespec>, flags?: readonly string[]): Promise<string>;
  exec(codespec: Partial<JobCodespec>, flags?: readonly string[]): Promise<CommandResult>;
  /** Of bash. */
  shell(script: string, flags?: readonly string[]): Promise<string>;
  show(id: string): Promise<ShownRun & Record<string, unknown>>;
  /** Waits for its end. */
  ended(id: string): Promise<ShownRun & Record<string, unknown>>;
  logOf(id: string): Promise<string>;
  /** Waits until nothing of the run is left in a namespace. */
  removed(id: string, namespace?: string): Promise<unknown>;
  close(): Promise<void>;
}

/** @param clusters as in the configuration file, without their kubeconfig; one without a namespace gets the stack's own */
export async function startKubeStack(
  clusters: readonly Record<string, unknown>[] = [{ name: "near" }],
): Promise<KubeStack> {
  const home = await mkdtemp(join(tmpdir(), "tyger-kube-e2e-"));
  const config = join(home, "tyger.yml");
  const kubeconfig = inject("kubeconfig");
  const durations = { userImageSeconds: 5 };
  const pumpImage = inject("pumpImage");
  const host = await hostForPods();
  const address = `${host}:${await freePort(host)}`;
  await writeFile(
    config,
    JSON.stringify({
      clusters: clusters.map((cluster) => ({ kubeconfig, durations, pumpImage, ...cluster })),
      dataPlane: { listen: address, publicUrl: `http://${address}` },
    }),
  );
  const stack = await startStack({ env: { TYGER_CONFIG: config } }).catch(async (err: unknown) => {
    await rm(home, { recursive: true, force: true });
    throw err;
  });
  const installation = await installationOf(stack);
  const ownNamespace = `tyger-${installation}`;

  const fileOf = async (codespec: Partial<JobCodespec>): Promise<string> => {
    const file = join(home, `run-${randomUUID()}.yml`);
    const job = { codespec: { kind: "job", image: inject("podImage"), ...codespec } };
    await writeFile(file, JSON.stringify({ job }));
    return file;
  };
  const create = async (codespec: Partial<JobCodespec>, flags: readonly string[] = []): Promise<string> => {
    const file = await fileOf(codespec);
    const { code, stdout, stderr } = await stack.tyger(["run", "create", "-f", file, ...flags]);
    if (code !== 0) throw new Error(`The run was not created: ${stderr}`);
    return stdout.toString().trim();
  };
  const show = async (id: string): Promise<ShownRun & Record<string, unknown>> =>
    JSON.parse((await stack.tyger(["run", "show", id])).stdout.toString());

  return {
    stack,
    installation,
    fileOf,
    create,
    exec: async (codespec, flags = []) =>
      stack.tyger(["run", "exec", "-f", await fileOf(codespec), ...flags], { limitMs: 90_000 }),
    shell: (script, flags) => create({ command: ["bash", "-c", script] }, flags),
    show,
    ended: (id) =>
      eventually(async () => {
        const run = await show(id);
        return ["Succeeded", "Failed", "Canceled"].includes(run.status) ? run : undefined;
      }, PATIENT),
    logOf: async (id) => (await stack.tyger(["run", "logs", id])).stdout.toString(),
    removed: (id, namespace = ownNamespace) =>
      eventually(async () => {
        const left = await kubectl("-n", namespace, "get", "pods,secrets", "-l", `tyger-run=${id}`, "-o", "name");
        return left.trim() === "";
      }, PATIENT),
    async close() {
      await stack.down();
      await rm(home, { recursive: true, force: true });
      await dropNamespace(ownNamespace);
    },
  };
}

/** Removes a namespace and its pods, whose finalizers no worker takes off any more. */
export async function dropNamespace(namespace: string): Promise<void> {
  const pods = (await kubectl("-n", namespace, "get", "pods", "-o", "name")).split("\n").filter(Boolean);
  for (const pod of pods) {
    await kubectl("-n", namespace, "patch", pod, "--type=merge", "--patch", '{"metadata":{"finalizers":null}}');
  }
  await kubectl("delete", "namespace", namespace, "--wait=false", "--ignore-not-found");
}

/** Counts the executions of jobs outside their containers: each job connects to it when it begins. */
export interface Counter {
  /** For the start of a job of bash. */
  script: string;
  begins(id: string): number;
  close(): Promise<void>;
}

export async function startCounter(): Promise<Counter> {
  const begins = new Map<string, number>();
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (data) => {
      for (const id of data.toString().split("\n").filter(Boolean)) begins.set(id, (begins.get(id) ?? 0) + 1);
    });
  });
  const host = await hostForPods();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    script: `echo "$TYGER_RUN_ID" > /dev/tcp/${host}/${port}`,
    begins: (id) => begins.get(id) ?? 0,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}

/** A port on which nothing listens. */
async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Where pods reach this machine: on a cluster of one node, the first address of its pods is that of their bridge. */
async function hostForPods(): Promise<string> {
  const given = process.env["TYGER_TEST_POD_HOST"];
  if (given) return given;
  const range = await kubectl("get", "nodes", "-o", "jsonpath={.items[0].spec.podCIDR}");
  return range.replace(/\.0\/\d+$/, ".1");
}
