import { isSameCodespec } from "../fakes/codespecs.ts";
import type { Client } from "@temporalio/client";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { createApp } from "../../api/app.ts";
import { createBufferService } from "../../api/services/buffer-service.ts";
import { createCodespecService } from "../../api/services/codespec-service.ts";
import { createDataPlaneAddress } from "../../api/data-plane/data-plane-address.ts";
import { createLog } from "../../config/log.ts";
import { createChanges, type Changes } from "../../waiting/changes.ts";
import { createRunService } from "../../api/runs/run-service.ts";
import type { BackgroundCalls } from "../../model/ports/workflows.ts";
import { createBackgroundCalls } from "../../temporal/background-calls.ts";
import { connectClient, openClient } from "../../temporal/connection.ts";
import { createRunWorkflows } from "../../temporal/run-workflows.ts";
import { createServerService } from "../../api/services/server-service.ts";
import { openDatabase } from "../../db/database.ts";
import type { Database } from "../../model/ports/database.ts";
import { createDockerReader } from "../../docker/log/reader.ts";
import { workflowIdOf } from "../../model/run/names.ts";
import type { Run } from "../../model/run/run.ts";
import { openAccess } from "../../api/auth/access.ts";
import { dockerChecks } from "../../runs/mode-checks.ts";
import { freshDatabase } from "../engines.ts";
import { unknownRun } from "../fakes/run-ports.ts";
import { eventually } from "../eventually.ts";
import { storesIn } from "../fakes/locations.ts";
import { soleCluster } from "../fakes/clusters.ts";

/** An API process without its sockets. */
interface Api {
  db: Database;
  app: ReturnType<typeof createApp>;
  background: BackgroundCalls & { close(): Promise<void> };
  changes: Changes<number>;
  warnings: string[];
  close(): Promise<void>;
}

let database: Awaited<ReturnType<typeof freshDatabase>>;
let api: Api;
let temporal: Client;
const workflows = new Set<string>();

async function openApi(temporalAddress: string): Promise<Api> {
  const db = await openDatabase(database.url);
  const places = new Set<string>();
  const refuse = (): never => {
    throw new Error("not expected by this test");
  };
  const store = {
    provision: async (id: string) => void places.add(id),
    exists: async (id: string) => places.has(id),
    delete: async (id: string) => void places.delete(id),
    put: refuse,
    get: refuse,
    head: refuse,
    putWhole: refuse,
    getWhole: refuse,
    waitFor: refuse,
    list: refuse,
  };
  const compute = createDockerReader({ installationId: db.installationId });
  const changes = createChanges<number>((changed) => db.runs.listen(changed));
  const warnings: string[] = [];
  const client = openClient({ address: temporalAddress, namespace: "default" });
  const background = createBackgroundCalls({
    workflows: createRunWorkflows(client, db.installationId),
    runs: db.runs,
    log: { warn: (_facts, message) => void warnings.push(message) },
  });
  const app = createApp({
    codespecs: createCodespecService(db.codespecs),
    buffers: createBufferService(db.buffers, storesIn(store), ({ bufferId }) => `x/${bufferId}`),
    runs: createRunService({
      ...db,
      store: storesIn(store),
      compute,
      archive: { read: async () => undefined },
      changes,
      workflows: background,
      clusters: soleCluster(dockerChecks(compute)),
      maxOpenRuns: 10_000,
    }),
    server: createServerService({
      compute,
      capabilities: ["Docker"],
      probes: [() => db.ping()],
      databaseVersion: db.schemaVersion,
    }),
    address: createDataPlaneAddress("/run/data.sock", () => ({})),
    access: openAccess(),
    log: createLog("error", "test"),
  });
  return {
    db,
    app,
    background,
    changes,
    warnings,
    close: async () => {
      await app.close();
      await changes.close();
      await background.close();
      await client.connection.close();
      await db.close();
    },
  };
}

beforeAll(async () => {
  database = await freshDatabase();
  api = await openApi(inject("temporalAddress"));
  temporal = await connectClient({ address: inject("temporalAddress"), namespace: "default" }, 10_000);
  await api.db.codespecs.put(
    "hello",
    {
      kind: "job",
      image: inject("testImage"),
      buffers: { inputs: ["input"], outputs: ["output"] },
    },
    isSameCodespec,
  );
});
afterAll(async () => {
  for (const workflow of workflows)
    await temporal.workflow
      .getHandle(workflow)
      .terminate()
      .catch(() => undefined);
  await temporal.connection.close();
  await api.close();
  await database.drop();
});

async function createRun(from = api, key?: string, tags = { a: "1" }): Promise<Run> {
  const answer = await from.app.inject({
    method: "POST",
    url: "/runs?api-version=1.0",
    payload: { job: { codespec: "hello" }, tags },
    headers: key === undefined ? {} : { "idempotency-key": key },
  });
  expect(answer.statusCode).toBe(201);
  const run = answer.json<Run>();
  workflows.add(workflowIdOf(api.db.installationId, run.id));
  return run;
}
const get = (path: string, from = api) => from.app.inject({ method: "GET", url: `${path}api-version=1.0` });

test("a run is shown, listed and counted as soon as its creation is answered, and its workflow starts once", async () => {
  const run = await createRun(api, undefined, { a: "alone" });
  const { kind, image, buffers } = run.job.codespec;
  const shown = { ...run, job: { ...run.job, codespec: { kind, image, buffers } } };
  expect((await get(`/runs/${run.id}?`)).json()).toEqual(shown);
  expect((await get("/runs?limit=1&status=pending&tag[a]=alone&")).json().items).toEqual([shown]);
  expect((await get("/runs/counts?tag%5Ba%5D=alone&")).json()).toEqual({ pending: 1 });
  for (const id of Object.values(run.job.buffers ?? {})) expect((await get(`/buffers/${id}?`)).statusCode).toBe(200);

  await eventually(async () => (await api.db.runs.find(run.id))?.workflowStartedAt !== undefined);
  const workflow = temporal.workflow.getHandle(workflowIdOf(api.db.installationId, run.id));
  const { runId, taskQueue, type } = await workflow.describe();
  expect([taskQueue, type]).toEqual([`${api.db.installationId}-docker`, "superviseRun"]);
  const uid = (await api.db.runs.find(run.id))?.uid ?? "";
  expect((await workflow.describe()).memo).toMatchObject({
    uid,
    codespec: "hello/versions/1",
    cluster: "docker",
    replicas: 1,
  });
  await workflow.terminate();
  api.background.start({ ...unknownRun, id: run.id, uid });
  api.background.cancel({ id: run.id, uid });
  await api.background.close();
  expect((await workflow.describe()).runId).toBe(runId);
  expect(api.warnings).toEqual([]);
  await api.close();
  api = await openApi(inject("temporalAddress"));
});

test("`since` with a time as it was shown excludes that run", async () => {
  const [first, second] = [await createRun(), await createRun()];
  const { items } = (await get(`/runs?since=${encodeURIComponent(first.createdAt)}&`)).json<{ items: Run[] }>();
  expect(items.map(({ id }) => id)).toEqual([second.id]);
});

test("pages of runs follow each other over their links", async () => {
  const created = [await createRun(), await createRun(), await createRun()].map(({ id }) => id);
  const ids: number[] = [];
  for (let url: string | undefined = "/runs?limit=1&api-version=1.0"; url !== undefined;) {
    const answer = await api.app.inject({ method: "GET", url });
    const page: { items: Run[]; nextLink?: string } = answer.json();
    ids.push(...page.items.map(({ id }) => id));
    url = page.nextLink;
  }
  expect(ids).toEqual(ids.toSorted((a, b) => b - a));
  expect(ids).toEqual(expect.arrayContaining(created));
  expect((await get("/runs?_ct=nonsense&")).json().error.code).toBe("InvalidInput");
});

test("one key makes one run, also over two API processes at once", async () => {
  const other = await openApi(inject("temporalAddress"));
  const runs = await Promise.all(Array.from({ length: 6 }, (_, i) => createRun(i % 2 ? other : api, "one key")));
  expect(new Set(runs.map(({ id }) => id)).size).toBe(1);
  await other.close();
});

test("a run is created and canceled while Temporal is down", async () => {
  const lone = await openApi("127.0.0.1:1");
  const run = await createRun(lone);
  const answer = await lone.app.inject({ method: "POST", url: `/runs/${run.id}/cancel?api-version=1.0` });
  expect([answer.statusCode, answer.json<Run>().status]).toEqual([202, "Canceling"]);
  expect((await lone.db.runs.find(run.id))?.workflowStartedAt).toBeUndefined();
  await lone.close();
});

test("a change reaches a watch without polling, even after the database connections were cut", async () => {
  const run = await createRun();
  await api.app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = api.app.server.address() as { port: number };
  const answer = await fetch(`http://127.0.0.1:${port}/runs/${run.id}?watch=true&api-version=1.0`);
  let text = "";
  const whole = (async () => {
    for await (const part of answer.body!.pipeThrough(new TextDecoderStream())) text += part;
  })();
  const statuses = () =>
    text
      .split("\n")
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as Run).status);
  await eventually(() => statuses().length === 1);
  await api.db.runs.recordRunning(run.id, 5, new Date().toISOString());
  // Before the watch would read the run again without being told.
  await eventually(() => statuses().length === 2);

  const { default: postgres } = await import("postgres");
  const sql = postgres(inject("postgresUrl"), { max: 1 });
  const name = new URL(database.url).pathname.slice(1);
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
  await sql.end({ timeout: 5 });
  await eventually(async () => {
    // An answer does not contain the uid.
    const identity = await api.db.runs.find(run.id);
    await api.db.runs.finish(identity ?? run, { status: "Succeeded", finishedAt: new Date().toISOString() });
    return true;
  });
  await whole;
  expect(statuses()).toEqual(["Pending", "Running", "Succeeded"]);
});
