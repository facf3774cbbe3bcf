import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { watchActivities } from "../../activities/watch.ts";
import { eventually } from "../eventually.ts";
import { openTemporalRig, type TemporalRig } from "../temporal-rig.ts";
import { recordHistory } from "./record.ts";

let rig: TemporalRig;
beforeAll(async () => {
  rig = await openTemporalRig();
});
afterAll(() => rig?.close());

test("a watcher whose watch ends continues as a new one, whatever signals it got", async () => {
  const taskQueue = `test-${randomBytes(5).toString("hex")}`;
  const ends = Promise.withResolvers<void>();
  let watches = 0;
  const watcher = {
    async watch(_report: unknown, signal: AbortSignal): Promise<void> {
      watches += 1;
      if (watches === 1) return ends.promise;
      if (!signal.aborted) await once(signal, "abort");
    },
  };
  const activities = watchActivities({
    watcher,
    reportReplicas: async () => undefined,
    runs: { recordReason: async () => undefined, recordRunningCount: async () => undefined },
  });
  const worker = await rig.createWorker({ taskQueue, activities, shutdownGraceTime: "1 second" });
  await worker.runUntil(async () => {
    const type = "watchWorkflow";
    const { workflowId, firstExecutionRunId } = await rig.client.workflow.start(type, {
      taskQueue,
      workflowId: taskQueue,
    });
    const first = rig.client.workflow.getHandle(workflowId, firstExecutionRunId);
    await eventually(() => watches === 1);
    const neverHeardOf = "neverHeardOf";
    await first.signal(neverHeardOf);
    await eventually(() => rig.warnings.some(({ meta }) => meta?.["signal"] === neverHeardOf));
    ends.resolve();
    await eventually(() => watches === 2);
    expect((await first.describe()).status.name).toBe("CONTINUED_AS_NEW");
    await recordHistory(first, "watched-then-continued");
    await rig.client.workflow.getHandle(workflowId).terminate();
  });
});
