import { spawn, type ChildProcess } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { inject } from "vitest";
import { openDatabase } from "../../db/database.ts";
import type { Database } from "../../model/ports/database.ts";
import { connectClient } from "../../temporal/connection.ts";
import { startPooler } from "../db/transaction-pooler.ts";
import { freshDatabase } from "../engines.ts";
import { eventually } from "../eventually.ts";
import type { Answer, HttpApi } from "../ports/http-api.ts";
import { type RoundRobin, startRoundRobin } from "../round-robin.ts";

const DIST = resolve(import.meta.dirname, "../../dist");
const STOP_MS = 20_000;

/** Two API processes on one database, which is behind a transaction pooler, and one store. */
export interface ApiPair {
  folder: string;
  database: Database;
  /** Of the database, without the pooler. */
  databaseUrl: string;
  proxy: RoundRobin;
  /** `http://host:port` of each process, without the proxy. */
  origins: string[];
  /** The paths of signing keys, by their names; each has a `.pub`. */
  keyFile(name: "first" | "second"): string;
  /** Restarts one process after the other with these keys, while the other one answers. */
  restart(keys: { primary: string; secondary?: string }): Promise<void>;
  close(): Promise<void>;
}

/** `withWorker`: runs are executed; else they stay as they were created. */
export async function openApiPair({ withWorker }: { withWorker: boolean }): Promise<ApiPair> {
  const folder = await mkdtemp(join(tmpdir(), "tyger-pair-"));
  const fresh = await freshDatabase();
  const [pooler, proxy] = await Promise.all([startPooler(fresh.url), startRoundRobin()]);
  const keyFile = (name: string): string => join(folder, `${name}.pem`);
  for (const name of ["first", "second"]) {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    await writeFile(keyFile(name), privateKey.export({ type: "pkcs8", format: "pem" }));
    await writeFile(`${keyFile(name)}.pub`, publicKey.export({ type: "spki", format: "pem" }));
  }
  const start = (name: "api" | "worker", more: Record<string, string>): Server =>
    startServer(name, {
      PATH: process.env["PATH"] ?? "/usr/bin:/bin",
      DATABASE_URL: pooler.url,
      DATABASE_DIRECT_URL: fresh.url,
      TEMPORAL_ADDRESS: inject("temporalAddress"),
      TYGER_DATA_DIR: join(folder, "data"),
      ...more,
    });
  let generation = 0;
  const startApi = async (place: number, keys: { primary: string; secondary?: string }) => {
    const own = join(folder, `api-${place}-${(generation += 1)}`);
    await mkdir(own);
    const settings = { signingKeys: keys, controlPlane: { listen: "127.0.0.1:0" } };
    await writeFile(join(own, "tyger.yml"), JSON.stringify(settings));
    const server = start("api", {
      TYGER_API_SOCKET: join(own, "a.sock"),
      TYGER_DATA_SOCKET: join(own, "d.sock"),
      TYGER_CONFIG: join(own, "tyger.yml"),
    });
    return { ...server, origin: String((await server.logged("API is ready"))["control"]) };
  };

  const keys = { primary: keyFile("first") };
  const apis = await Promise.all([startApi(0, keys), startApi(1, keys)]);
  proxy.targets.push(...apis.map(({ origin }) => origin));
  const database = await openDatabase(fresh.url);
  const worker = withWorker
    ? start("worker", { TYGER_WORKFLOW_BUNDLE: join(DIST, "workflows.js"), TYGER_PUMP_MAIN: join(DIST, "pump.js") })
    : undefined;
  if (worker) {
    const ready = join(folder, "data/state/worker.ready");
    await eventually(async () => (await readFile(ready, "utf8")).trim() === String(worker.pid), { withinMs: 60_000 });
  }

  return {
    folder,
    database,
    databaseUrl: fresh.url,
    proxy,
    keyFile,
    get origins() {
      return apis.map(({ origin }) => origin);
    },
    async restart(next) {
      for (const [place, api] of apis.entries()) {
        proxy.targets.splice(0, 2, ...apis.filter((other) => other !== api).map(({ origin }) => origin));
        await api.stop();
        apis[place] = await startApi(place, next);
        proxy.targets.splice(0, 2, ...apis.map(({ origin }) => origin));
      }
    },
    async close() {
      await Promise.all([...apis, ...(worker ? [worker] : [])].map((server) => server.stop()));
      await endWorkflows(database.installationId);
      await proxy.close();
      await database.close();
      await pooler.close();
      await fresh.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface Server {
  pid: number | undefined;
  /** Resolves with the log line that has this message. @throws Error with the last lines when the process ends before */
  logged(message: string): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

function startServer(name: string, env: Record<string, string>): Server {
  const child: ChildProcess = spawn(process.execPath, [join(DIST, `${name}.js`)], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  const ended = once(child, "exit");
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface(stream).on("line", (line) => void lines.push(line));
  }
  return {
    pid: child.pid,
    logged: (message) =>
      eventually(
        () => {
          if (child.exitCode !== null) throw new Error(`${name} ended: ${lines.slice(-10).join("\n")}`);
          const line = lines.find((text) => text.includes(JSON.stringify(message)));
          return line === undefined ? undefined : (JSON.parse(line) as Record<string, unknown>);
        },
        { withinMs: 60_000 },
      ),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      child.kill("SIGTERM");
      await ended;
      clearTimeout(timer);
    },
  };
}

async function endWorkflows(installationId: string): Promise<void> {
  const temporal = await connectClient({ address: inject("temporalAddress"), namespace: "default" }, 10_000);
  const query = `WorkflowId STARTS_WITH '${installationId}' AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of temporal.workflow.list({ query })) {
    await temporal.workflow
      .getHandle(workflowId)
      .terminate()
      .catch(() => undefined);
  }
  await temporal.connection.close();
}

/** The pair as one server, each request to the next process. */
export const pairHttpApi = ({ proxy, database }: ApiPair): HttpApi => ({
  call: (method, url, sent) => send(`http://${proxy.host}:${proxy.port}`, method, url, sent),
  codespec: { kind: "job", image: inject("testImage") },
  async end(id) {
    const run = await database.runs.find(id);
    if (run) await database.runs.finish(run, { status: "Succeeded", finishedAt: new Date().toISOString() });
  },
});

/** Sends one request to one server. */
export const send = (
  origin: string,
  method: string,
  url: string,
  { payload, headers = {} }: { payload?: object | string; headers?: Readonly<Record<string, string>> } = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const body = typeof payload === "object" ? JSON.stringify(payload) : (payload ?? "");
    const common = { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) };
    const { hostname, port } = new URL(origin);
    // A path as it is: `URL` would normalize it.
    const sending = request({ hostname, port, method, path: url, headers: { ...common, ...headers }, agent: false });
    sending.on("error", reject).on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("error", reject).on("end", () => {
        resolve({
          statusCode: response.statusCode ?? 0,
          headers: response.headers,
          body: text,
          json: () => JSON.parse(text) as unknown,
        });
      });
    });
    sending.end(body);
  });
