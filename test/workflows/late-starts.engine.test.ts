import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WorkflowHandle } from "@temporalio/client";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import { changesOf } from "../../model/run/replica-changes.ts";
import { currentRun, replicasChanged } from "../../workflows/messages.ts";
import { eventually } from "../eventually.ts";
import type { FakeRunPorts } from "../fakes/run-ports.ts";
import { EXITED, launched, openStage, type Stage } from "./stage.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage?.close());

const created = (message?: string): ReplicaState => ({
  container: { phase: "Created", ...(message === undefined ? {} : { message }) },
});
const running: ReplicaState = { container: { phase: "Running", startedAt: "2026-01-01T00:00:01Z" } };

/** An engine that creates containers and starts them later. */
function startLater({ compute, calls }: FakeRunPorts): void {
  compute.launch = async ({ id }, replica) => {
    calls.push(`launch ${id}${replica === 0 ? "" : `-${replica}`}`);
    return created();
  };
}

const phaseBecomes = (handle: WorkflowHandle, phase: string) =>
  eventually(async () => (await handle.query(currentRun)).phase === phase);
const tagOf = async (handle: WorkflowHandle): Promise<unknown> => {
  const { searchAttributes } = await handle.describe();
  return searchAttributes["TygerStatus"]?.[0];
};

describe("a run whose container begins after its launch", () => {
  test("shows why it waits, is Running once it begins, and succeeds", async () => {
    await stage.withWorker(
      async ({ ports, begin }) => {
        startLater(ports);
        const { id, uid, handle, report, end } = await begin();
        await launched(ports, id);
        await phaseBecomes(handle, "waiting for the job to begin");
        for (const reason of ["Unschedulable: no node", "main: ErrImagePull: no such image"]) {
          await report(created(reason));
          await phaseBecomes(handle, `waiting for the job to begin: ${reason}`);
        }
        expect(await tagOf(handle)).not.toBe("Running");
        const tagUntil = new Date(Date.now() + 10_000).toISOString();
        await handle.signal(replicasChanged, changesOf(uid, [[0, running]], { tagUntil }));
        await phaseBecomes(handle, "the job is running");
        await eventually(async () => (await tagOf(handle)) === "Running");
        await report(EXITED);
        expect(await end()).toMatchObject({ status: "Succeeded", closedAs: "COMPLETED" });
      },
      { record: "late-start" },
    );
  });

  test("is canceled at its timeout, with the reason for which it was waiting", async () => {
    await stage.withWorker(
      async ({ ports, begin }) => {
        startLater(ports);
        ports.compute.stop = async () => ({ container: { phase: "Gone", message: "deleted" } });
        const { id, uid = "", handle, report, end } = await begin({ timeoutSeconds: 4 });
        await launched(ports, id);
        await stage.db.runs.recordWaiting({ id, uid }, "no node");
        await report(created("no node"));
        await phaseBecomes(handle, "waiting for the job to begin: no node");
        expect(await end()).toMatchObject({
          status: "Canceled",
          statusReason: "The timeout passed while the run was pending: no node",
        });
      },
      { record: "late-start-timed-out" },
    );
  });

  test("that ends before its start was seen has its exit", async () => {
    await stage.withWorker(async ({ ports, begin }) => {
      startLater(ports);
      const { id, report, end } = await begin();
      await launched(ports, id);
      await report({ container: { ...EXITED.container, exitCode: 3 } });
      expect(await end()).toMatchObject({ status: "Failed", statusReason: "Main exited with code 3" });
    });
  });

  test("with several replicas runs when one does", async () => {
    await stage.withWorker(async ({ ports, begin }) => {
      startLater(ports);
      const { uid, handle, end } = await begin({
        job: { codespec: { kind: "job", image: "image" } },
        replicaCount: 2,
      });
      await phaseBecomes(handle, "waiting for the job to begin");
      await handle.signal(replicasChanged, changesOf(uid, [[1, running]]));
      await phaseBecomes(handle, "the job is running");
      await handle.signal(
        replicasChanged,
        changesOf(uid, [
          [0, EXITED],
          [1, EXITED],
        ]),
      );
      expect(await end()).toMatchObject({ status: "Succeeded" });
    });
  });
});
