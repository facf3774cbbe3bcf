import { randomBytes } from "node:crypto";
import { Client } from "@temporalio/client";
import { temporal } from "@temporalio/proto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { runActivities } from "../../activities/run.ts";
import type { Database } from "../../model/ports/database.ts";
import { changesOf } from "../../model/run/replica-changes.ts";
import { taskQueueOf, workflowIdOf } from "../../model/run/names.ts";
import { createRunWorkflows } from "../../temporal/run-workflows.ts";
import { searchAttributeCheck } from "../../temporal/search-attributes.ts";
import { replicasChanged } from "../../workflows/messages.ts";
import { SEARCH_ATTRIBUTES, searchAttributesOf } from "../../workflows/search-attributes.ts";
import { newRun, openFresh } from "../db/fixture.ts";
import { eventually } from "../eventually.ts";
import { createFakeRunPorts, type FakeRunPorts } from "../fakes/run-ports.ts";
import { openTemporalRig, type TemporalRig } from "../temporal-rig.ts";

const CLUSTER = "docker";
const NAMES = Object.values(SEARCH_ATTRIBUTES).map(({ name }) => name);
const { INDEXED_VALUE_TYPE_KEYWORD } = temporal.api.enums.v1.IndexedValueType;
const SETTLE = { withinMs: 60_000 };

let rig: TemporalRig;
let client: Client;
let namespace: string;
let database: Database;
let ports: FakeRunPorts;
beforeAll(async () => {
  rig = await openTemporalRig();
});
afterAll(() => rig?.close());
/** Each test has a namespace of its own, in which it adds and removes. */
beforeEach(async () => {
  namespace = `test-${randomBytes(5).toString("hex")}`;
  await rig.client.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
  });
  client = new Client({ connection: rig.client.connection, namespace });
  ({ database } = await openFresh());
  ports = createFakeRunPorts(database.runsIn("docker"), { maxLiveRuns: 10, offerSlot: async () => undefined });
  ports.hasSearchAttributes = searchAttributeCheck(client);
});

const operator = () => client.connection.operatorService;
const add = async (): Promise<void> => {
  const searchAttributes = Object.fromEntries(NAMES.map((name) => [name, INDEXED_VALUE_TYPE_KEYWORD]));
  await operator().addSearchAttributes({ namespace, searchAttributes });
};
const remove = async (): Promise<void> => {
  await operator().removeSearchAttributes({ namespace, searchAttributes: NAMES });
};

/** Whether the server takes them at this moment: it can learn of a change some seconds after it was made. */
async function areTaken(): Promise<boolean> {
  const workflowId = `probe-${randomBytes(5).toString("hex")}`;
  const typedSearchAttributes = searchAttributesOf("Pending", undefined);
  try {
    await client.workflow.start("probe", { taskQueue: "probes", workflowId, typedSearchAttributes });
    return true;
  } catch {
    return false;
  }
}

interface Begun {
  tags: () => Promise<unknown[]>;
  exit: () => Promise<void>;
  /** The failing tasks of its workflow, and its end. */
  end: () => Promise<{ failedTasks: number; closedAs: string; status: string | undefined }>;
}

/** Plays a script with a worker of the namespace. `begin` starts a run as the API does, and waits until it is launched. */
async function withWorker(script: (begin: () => Promise<Begun>) => Promise<void>): Promise<void> {
  const installation = namespace;
  const workflows = createRunWorkflows(client, installation);
  const taskQueue = taskQueueOf(installation, CLUSTER);
  const worker = await rig.createWorker({ namespace, taskQueue, activities: runActivities(ports) });
  const begin = async (): Promise<Begun> => {
    const { run } = await database.runs.create(newRun({ codespecRef: "hello/versions/3" }));
    await workflows.start(run);
    await database.runs.recordWorkflowStarted(run.id);
    await eventually(() => ports.calls.includes(`launch ${run.id}`), SETTLE);
    const handle = client.workflow.getHandle(workflowIdOf(installation, run.id));
    return {
      tags: async () => {
        const { typedSearchAttributes } = await handle.describe();
        return Object.values(SEARCH_ATTRIBUTES).map((key) => typedSearchAttributes.get(key));
      },
      exit: () =>
        handle.signal(replicasChanged, changesOf(run.uid, [[0, { container: { phase: "Exited", exitCode: 3 } }]])),
      end: async () => {
        await handle.result().catch(() => undefined);
        const { events } = await handle.fetchHistory();
        const failedTasks = events?.filter((event) => event.workflowTaskFailedEventAttributes).length ?? 0;
        const { name: closedAs } = (await handle.describe()).status;
        return { failedTasks, closedAs, status: (await database.runs.find(run.id))?.status };
      },
    };
  };
  await worker.runUntil(() => script(begin));
}

test("runs are tagged with their status and codespec where the namespace has the attributes, and end where it has none", async () => {
  await withWorker(async (begin) => {
    const untagged = await begin();
    expect(await untagged.tags()).toEqual([undefined, undefined]);
    await add();
    await eventually(areTaken, SETTLE);
    await eventually(ports.hasSearchAttributes, SETTLE);
    await untagged.exit();
    expect(await untagged.end()).toMatchObject({ status: "Failed", closedAs: "FAILED" });

    // A start that was refused is not tried with them again for a minute: the first tag is that of a step.
    const tagged = await begin();
    await eventually(async () => (await tagged.tags())[0] === "Running", SETTLE);
    expect(await tagged.tags()).toEqual(["Running", "hello/versions/3"]);
    await tagged.exit();
    expect(await tagged.end()).toMatchObject({ failedTasks: 0, status: "Failed", closedAs: "FAILED" });
    expect(await tagged.tags()).toEqual(["Failed", "hello/versions/3"]);
  });
});

test("removing the attributes while a worker still counts on them delays its runs, and ends none", async () => {
  await add();
  await eventually(areTaken, SETTLE);
  ports.hasSearchAttributes = async () => true;
  await withWorker(async (begin) => {
    const run = await begin();
    await eventually(async () => (await run.tags())[0] === "Running", SETTLE);
    await remove();
    await eventually(async () => !(await areTaken()), SETTLE);
    await run.exit();
    const ended = await run.end();
    expect(ended).toMatchObject({ status: "Failed", closedAs: "FAILED" });
    expect(ended.failedTasks).toBeGreaterThan(0);
  });
});

test("after the attributes were removed, the worker learns of it, and runs start and end without them", async () => {
  await add();
  await eventually(areTaken, SETTLE);
  await withWorker(async (begin) => {
    const first = await begin();
    await eventually(async () => (await first.tags())[0] === "Running", SETTLE);
    await remove();
    await eventually(async () => !(await areTaken()), SETTLE);
    await eventually(async () => !(await ports.hasSearchAttributes()), SETTLE);
    const second = await begin();
    for (const run of [first, second]) {
      await run.exit();
      expect(await run.end()).toEqual({ failedTasks: 0, status: "Failed", closedAs: "FAILED" });
    }
  });
});
