import { inspect } from "node:util";
import type { WorkflowHandle } from "@temporalio/client";
import { defaultPayloadConverter, type Payload } from "@temporalio/common";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CodedError } from "../../model/errors.ts";
import type { ComputeWriter } from "../../model/ports/compute.ts";
import { changesOf } from "../../model/run/replica-changes.ts";
import { argumentOf } from "../../model/run/argument.ts";
import { workflowIdOf } from "../../model/run/names.ts";
import { cancelRun, currentRun, replicaChanged, replicasChanged, slotFree } from "../../workflows/messages.ts";
import { eventually } from "../eventually.ts";
import { EXITED, launched, newRun, openStage, type Stage } from "./stage.ts";

/** Signals, arguments and answers of programs that are not this version: none of them makes a run that never ends. */

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage?.close());

const bytes = (text: string): Uint8Array => Buffer.from(text);
const encoded = (encoding: string, data: string): Payload => ({
  metadata: { encoding: bytes(encoding) },
  data: bytes(data),
});
const json = (value: unknown): Payload => defaultPayloadConverter.toPayload(value);

const UNDECODABLE: [string, Payload][] = [
  ["an unknown encoding", encoded("binary/encrypted", "secret-payload")],
  ["broken JSON", encoded("json/plain", '{"secret-payload":')],
  ["a protobuf", encoded("json/protobuf", '{"secret-payload":1}')],
  ["no encoding", { metadata: {}, data: bytes("secret-payload") }],
  ["no metadata", { data: bytes("secret-payload") }],
  ["no data", { metadata: { encoding: bytes("json/plain") } }],
];
const UNKNOWN: [string, Payload][] = [
  ["null", json(null)],
  ["a number", json(7)],
  ["a list", json(["secret-payload"])],
  ["a text", json("secret-payload")],
  ["bytes", encoded("binary/plain", "secret-payload")],
  ["a later version", json({ version: 99, replicas: "secret-payload" })],
  ["an unknown phase", json({ container: { phase: "secret-payload" } })],
];

const signalRaw = async ({ workflowId }: WorkflowHandle, signalName: string, payloads: Payload[]): Promise<void> => {
  const { workflowService, options } = stage.rig.client;
  const input = { payloads };
  await workflowService.signalWorkflowExecution({
    namespace: options.namespace,
    workflowExecution: { workflowId },
    signalName,
    input,
  });
};

/** Failing tasks of a workflow appear in its history: Temporal adds the first of each row. */
async function failedTasks(handle: WorkflowHandle): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ workflowTaskFailedEventAttributes: failed }) => failed?.failure?.message ?? []);
}

const RUN_WORKFLOW = "superviseRun";
const SIGNALS = [replicasChanged, replicaChanged, slotFree].map(({ name }) => name);

test.each([...SIGNALS, "neverHeardOf", "__stack_trace", "__temporal_neverHeardOf"])(
  "a run ends in spite of signals '%s' of unknown shapes",
  async (name) => {
    await stage.withWorker(async ({ ports, begin }) => {
      const { id, uid, handle, report, end } = await begin();
      await launched(ports, id);
      for (const [, payload] of [...UNDECODABLE, ...UNKNOWN]) {
        await signalRaw(handle, name, [payload]);
        await signalRaw(handle, name, [payload, json(uid)]);
      }
      await signalRaw(handle, name, []);
      await report(EXITED);
      expect(await end()).toMatchObject({ status: "Succeeded" });
      expect(await failedTasks(handle)).toEqual([]);
    });
  },
);

test("a signal that is not understood is logged, without its payload", async () => {
  await stage.withWorker(async ({ ports, begin }) => {
    const { id, handle, report } = await begin();
    await launched(ports, id);
    await signalRaw(handle, "neverHeardOf", [json("secret-payload")]);
    await signalRaw(handle, replicasChanged.name, [json({ version: 99, replicas: "secret-payload" })]);
    await signalRaw(handle, replicasChanged.name, [UNDECODABLE[0]?.[1] ?? {}]);
    await signalRaw(handle, cancelRun.name, [json("secret-payload")]);
    await report(EXITED);
    await handle.result();
    const dropped = stage.rig.warnings.filter(({ meta }) => meta?.["runId"] === id);
    const said = dropped.map(({ message, meta }) => [message, meta?.["signal"]]);
    const text = "dropped a signal that is not understood";
    const names = ["neverHeardOf", replicasChanged.name, replicasChanged.name, cancelRun.name];
    expect(said).toEqual(names.map((name) => [text, name]));
    expect(inspect(dropped, { depth: null })).not.toContain("secret-payload");
  });
});

test.each([...UNDECODABLE, ["nothing", undefined] as const, ...UNKNOWN.filter(([name]) => name !== "a text")])(
  "a cancel with %s cancels",
  async (_name, payload) => {
    await stage.withWorker(async ({ ports, begin }) => {
      const { id, handle, end } = await begin();
      await launched(ports, id);
      await signalRaw(handle, cancelRun.name, payload ? [payload] : []);
      expect(await end()).toMatchObject({ status: "Canceled" });
      expect(await failedTasks(handle)).toEqual([]);
    });
  },
);

test("signals that arrive before the first task are taken by their handlers", async () => {
  await stage.withWorker(async ({ ports, taskQueue }) => {
    const { run } = await stage.db.runs.create(newRun());
    const { id, uid = "" } = run;
    await stage.db.runs.recordWorkflowStarted(id);
    const handle = await stage.rig.client.workflow.signalWithStart(RUN_WORKFLOW, {
      taskQueue,
      workflowId: workflowIdOf(taskQueue, id),
      args: [argumentOf({ ...run, uid })],
      signal: cancelRun,
      signalArgs: [],
    });
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: "CancelledFailure" } });
    expect(ports.calls).not.toContain(`launch ${id}`);
  });
});

test("one batch of changes ends the run that it is about, whatever else is in it", async () => {
  await stage.withWorker(async ({ ports, begin }) => {
    const { id, uid, handle, end } = await begin();
    await launched(ports, id);
    await eventually(async () => (await handle.query(currentRun)).replica.container.phase === "Running");
    await handle.signal(replicasChanged, changesOf("another", [[0, EXITED]]));
    await handle.signal(replicasChanged, changesOf(uid, [[1, EXITED]]));
    expect((await handle.query(currentRun)).replica.container.phase).toBe("Running");
    const odd = { container: { phase: "Frozen" } } as unknown as typeof EXITED;
    await handle.signal(
      replicasChanged,
      changesOf(uid, [
        [0, odd],
        [0, EXITED],
        [1, odd],
      ]),
    );
    expect(await end()).toMatchObject({ status: "Succeeded" });
  });
});

test("a query with arguments that cannot be decoded is answered", async () => {
  await stage.withWorker(async ({ ports, begin }) => {
    const { id, handle } = await begin();
    await launched(ports, id);
    const { workflowService, options } = stage.rig.client;
    const { queryResult } = await workflowService.queryWorkflow({
      namespace: options.namespace,
      execution: { workflowId: handle.workflowId },
      query: { queryType: currentRun.name, queryArgs: { payloads: [UNDECODABLE[0]?.[1] ?? {}] } },
    });
    expect(queryResult?.payloads?.map((payload) => defaultPayloadConverter.fromPayload(payload))).toMatchObject([
      { runId: id },
    ]);
  });
});

describe("an answer for an activity that its worker did not give", () => {
  /** Gives the answer for the activity that is under way, as `temporal activity complete` does. */
  const complete = async (handle: WorkflowHandle, type: string, result: Payload): Promise<void> => {
    const { workflowService, options } = stage.rig.client;
    const activityId = await eventually(async () => {
      const { raw } = await handle.describe();
      return raw.pendingActivities?.find(({ activityType }) => activityType?.name === type)?.activityId;
    });
    await workflowService.respondActivityTaskCompletedById({
      namespace: options.namespace,
      workflowId: handle.workflowId,
      activityId,
      result: { payloads: [result] },
    });
  };
  /** Makes a step of the backend wait until the answer for it is given. */
  const hold = (compute: ComputeWriter, step: "launch" | "stop"): (() => void) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const work = compute[step].bind(compute);
    compute[step] = async (run, replica) => {
      await promise;
      return work(run, replica);
    };
    return resolve;
  };

  test.each([...UNDECODABLE.slice(0, 2), ...UNKNOWN])(
    "about a launch, %s: the run still ends",
    async (_name, answer) => {
      await stage.withWorker(async ({ ports, begin }) => {
        const release = hold(ports.compute, "launch");
        const { handle, report, end } = await begin();
        await complete(handle, "admitAndLaunch", answer);
        release();
        await report(EXITED);
        expect(await end()).toMatchObject({ status: "Succeeded" });
        expect(await failedTasks(handle)).toEqual([]);
      });
    },
  );

  test("about a stop: the run still ends", async () => {
    await stage.withWorker(async ({ ports, begin }) => {
      const release = hold(ports.compute, "stop");
      const { id, handle, end } = await begin();
      await launched(ports, id);
      await handle.signal(cancelRun);
      await complete(handle, "stopReplicas", json({ container: "gone" }));
      release();
      expect(await end()).toMatchObject({ status: "Canceled" });
    });
  });

  test("about the recording of the end: the end is recorded all the same", async () => {
    await stage.withWorker(async ({ ports, begin }) => {
      const { promise, resolve: release } = Promise.withResolvers<void>();
      ports.archive.write = async () => {
        await promise;
        return "local";
      };
      const { id, handle, report, end } = await begin();
      await launched(ports, id);
      await report(EXITED);
      await complete(handle, "recordEnd", json({ status: "Evicted" }));
      release();
      expect(await end()).toMatchObject({ status: "Succeeded" });
      expect(await stage.db.runs.find(id)).toMatchObject({ status: "Succeeded", archivedAt: expect.any(String) });
    });
  });
});

test.each([
  ["superviseRun", "none", []],
  ["superviseRun", "one that cannot be decoded", [UNDECODABLE[0]?.[1] ?? {}]],
  ["superviseRun", "one without a deadline", [json({ id: 1, uid: "a", cluster: "docker", replicas: 1 })]],
  ["executeRun", "none", []],
  ["executeRun", "a text", [json("7")]],
  ["executeRun", "no number", [json({ uid: "abc" })]],
  ["executeRun", "one that cannot be decoded", [UNDECODABLE[0]?.[1] ?? {}]],
  ["runWorkflow", "an object", [json({})]],
  ["runWorkflow", "a negative number", [json(-1)]],
])("a workflow '%s' whose argument is %s fails, and says why", async (type, _name, payloads) => {
  await stage.withWorker(async ({ taskQueue }) => {
    const { workflowService, options, workflow } = stage.rig.client;
    const workflowId = `${taskQueue}-odd`;
    await workflowService.startWorkflowExecution({
      namespace: options.namespace,
      workflowId,
      workflowType: { name: type },
      taskQueue: { name: taskQueue },
      input: { payloads },
      requestId: workflowId,
    });
    const handle = workflow.getHandle(workflowId);
    await expect(handle.result()).rejects.toMatchObject({
      cause: { message: "The argument of the workflow identifies no run" },
    });
    expect(await failedTasks(handle)).toEqual([]);
  });
});

test("a stop that fails for good is the reason of the run, which is still recorded", async () => {
  await stage.withWorker(async ({ ports, begin }) => {
    const text = "The container belongs to another run";
    ports.compute.stop = () => Promise.reject(new CodedError("Conflict", text));
    const { id, report, end } = await begin();
    await launched(ports, id);
    await report({ container: { phase: "Running" }, pump: { phase: "Dead" } });
    expect(await end()).toMatchObject({ status: "Failed", statusReason: text });
    expect(await stage.db.runs.find(id)).toMatchObject({ status: "Failed", statusReason: text });
  });
});
