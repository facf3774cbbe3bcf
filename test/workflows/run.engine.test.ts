import type { WorkflowHandle } from "@temporalio/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CodedError } from "../../model/errors.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import type { FakeRunPorts } from "../fakes/run-ports.ts";
import type { Database } from "../../model/ports/database.ts";
import { cancelRun, currentRun, replicaChanged, slotFree } from "../../workflows/messages.ts";
import { eventually } from "../eventually.ts";
import { EXITED, launched, newRun, openStage, queued, type Stage } from "./stage.ts";

let stage: Stage;
let db: Database;
let withWorker: Stage["withWorker"];
let withoutUid: Stage["withoutUid"];

beforeAll(async () => {
  stage = await openStage();
  ({ db, withWorker, withoutUid } = stage);
});
afterAll(() => stage?.close());

describe("each outcome", () => {
  test("a job that exits with 0 succeeds, with few activities and events, and keeps its secrets out of history", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        const { id, handle, report } = await begin();
        await launched(ports, id);
        await report({ container: { phase: "Running" } });
        await report(EXITED);
        expect(await handle.result()).toMatchObject({ status: "Succeeded" });
        expect(ports.calls).toEqual([`launch ${id}`, `archive ${id}`, `remove ${id}`]);
        const { events = [] } = await handle.fetchHistory();
        expect(events?.length).toBeLessThanOrEqual(40);
        expect(events?.filter((event) => event.activityTaskScheduledEventAttributes).length).toBeLessThanOrEqual(4);
        const text = JSON.stringify(events, (_key, value) =>
          value instanceof Uint8Array ? Buffer.from(value).toString() : value,
        );
        expect(text).not.toContain("hunter2");
        expect(await db.runs.find(id)).toMatchObject({ status: "Succeeded", archivedAt: expect.any(String) });
      },
      { record: "archived-at-once" },
    );
  });

  test("a job that exits with 3 fails", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        const { id, handle, report } = await begin();
        await launched(ports, id);
        await report({
          container: { phase: "Exited", exitCode: 3, finishedAt: new Date().toISOString() },
        });
        expect(await handle.result()).toMatchObject({ status: "Failed", statusReason: "Main exited with code 3" });
        expect(ports.marks).toEqual([(await db.runs.find(id))?.job.buffers?.["out"]]);
      },
      { record: "failed" },
    );
  });

  test.each([
    ["the cancel signal", { record: "canceled" }, (handle: WorkflowHandle) => handle.signal(cancelRun)],
    ["an ordinary Temporal cancel", { record: "canceled-by-temporal" }, (handle: WorkflowHandle) => handle.cancel()],
  ])("%s stops the container and ends Canceled", async (_name, recording, cancel) => {
    await withWorker(async ({ ports, begin }) => {
      const { id, handle } = await begin();
      await launched(ports, id);
      await cancel(handle);
      expect(await handle.result()).toMatchObject({ status: "Canceled", statusReason: "Canceled by user" });
      expect(ports.calls.filter((call) => call.startsWith("stop"))).toEqual([`stop ${id}`]);
    }, recording);
  });

  test("a cancel before the workflow runs launches nothing", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        const { id, handle } = await begin({}, (runId) => db.runs.requestCancel(runId));
        expect(await handle.result()).toMatchObject({ status: "Canceled" });
        expect(ports.calls).not.toContain(`launch ${id}`);
      },
      { record: "canceled-before-launch" },
    );
  });

  test("a running run that exceeds its timeout fails, and its reason names the timeout", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        const { id, handle } = await begin({ timeoutSeconds: 2 });
        await launched(ports, id);
        expect(await handle.result()).toMatchObject({
          status: "Failed",
          statusReason: expect.stringContaining("timeout"),
        });
        expect(ports.calls).toContain(`stop ${id}`);
      },
      { record: "timed-out" },
    );
  });

  test("a launch that fails for good fails the run with the engine's words", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        ports.launchErrors.push(new CodedError("LaunchFailed", "no such program: 'bsh'"));
        const { handle } = await begin();
        expect(await handle.result()).toMatchObject({ status: "Failed", statusReason: "no such program: 'bsh'" });
      },
      { record: "launch-failed" },
    );
  });

  test("a pump that dies under a running job stops the job and fails the run", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        const { id, handle, report } = await begin();
        await launched(ports, id);
        await report({ container: { phase: "Running" }, pump: { phase: "Dead" } });
        expect(await handle.result()).toMatchObject({
          status: "Failed",
          statusReason: expect.stringContaining("streams the buffers died"),
        });
        expect(ports.calls).toContain(`stop ${id}`);
      },
      { record: "pump-died" },
    );
  });
});

test("an exit code of 0 is not a success before the pump has its result", async () => {
  await withWorker(async ({ ports, begin }) => {
    const { id, handle, report } = await begin();
    await launched(ports, id);
    await report({ ...EXITED, pump: { phase: "Running" } });
    await eventually(async () => (await handle.query(currentRun)).replica.container.phase === "Exited");
    expect((await db.runs.find(id))?.status).toBe("Running");
    await report({ ...EXITED, pump: { phase: "Succeeded" } });
    expect(await handle.result()).toMatchObject({ status: "Succeeded" });
  });
});

describe("a run whose outputs are still being stored", () => {
  const storing = (): ReplicaState => ({
    container: {
      phase: "Exited",
      exitCode: 0,
      startedAt: new Date().toISOString(),
      finishedAt: new Date().toISOString(),
    },
    pump: { phase: "Running" },
  });
  /** A stop finds that the outputs were given up. */
  const givesUp = (ports: FakeRunPorts): void => {
    ports.compute.stop = async () => ({
      ...storing(),
      pump: { phase: "Failed", message: "The run was stopped", cutOff: true },
    });
  };

  test("shows it, and is Canceled by a cancel", async () => {
    await withWorker(async ({ ports, begin }) => {
      givesUp(ports);
      const { id, handle, report } = await begin();
      await launched(ports, id);
      await report(storing());
      await eventually(async () => (await handle.query(currentRun)).phase === "storing the outputs");
      await handle.signal(cancelRun);
      expect(await handle.result()).toMatchObject({ status: "Canceled", statusReason: "Canceled by user" });
      expect(ports.marks).toEqual(["b1"]);
    });
  });

  test("times out at its deadline", async () => {
    await withWorker(async ({ ports, begin }) => {
      givesUp(ports);
      const { id, handle, report } = await begin({ timeoutSeconds: 3 });
      await launched(ports, id);
      await report(storing());
      expect(await handle.result()).toMatchObject({
        status: "Failed",
        statusReason: "The run did not end within its timeout",
      });
    });
  });
});

test("a launch is tried again while the engine is down", async () => {
  await withWorker(async ({ ports, begin }) => {
    for (let i = 0; i < 3; i++) ports.launchErrors.push(new CodedError("Unavailable", "the engine is away"));
    const { id, handle, report } = await begin();
    await eventually(() => ports.calls.filter((call) => call === `launch ${id}`).length === 4);
    await report(EXITED);
    expect(await handle.result()).toMatchObject({ status: "Succeeded" });
  });
});

test("a cancel during a launch that keeps failing ends at once", async () => {
  await withWorker(
    async ({ ports, begin }) => {
      for (let i = 0; i < 100; i++) ports.launchErrors.push(new CodedError("Unavailable", "the engine is away"));
      const { id, handle } = await begin();
      await launched(ports, id);
      await handle.signal(cancelRun);
      expect(await handle.result()).toMatchObject({ status: "Canceled" });
    },
    { record: "canceled-during-launch" },
  );
});

test("a run whose logs can never be archived loses them, and its engine is cleaned", async () => {
  await withWorker(
    async ({ ports, begin }) => {
      // The first attempt is part of recording the end, the second is a step of its own.
      for (let i = 0; i < 2; i++) ports.archiveErrors.push(new CodedError("NotFound", "The logs are gone"));
      const { id, handle, report } = await begin();
      await launched(ports, id);
      await report(EXITED);
      expect(await handle.result()).toMatchObject({ status: "Succeeded" });
      expect(ports.calls).toEqual([`launch ${id}`, `archive ${id}`, `archive ${id}`, `remove ${id}`]);
      expect(await db.runs.find(id)).toMatchObject({ archivedAt: expect.any(String) });
    },
    { record: "discarded" },
  );
});

test("a queued run that exceeds its timeout is canceled, its reason names the timeout, and nothing is launched", async () => {
  await withWorker(
    async ({ ports, begin }) => {
      const { id, handle } = await begin({ timeoutSeconds: 1 });
      expect(await handle.result()).toMatchObject({
        status: "Canceled",
        statusReason: expect.stringMatching(/\btimeout\b/),
      });
      expect(ports.calls).not.toContain(`launch ${id}`);
    },
    { maxLiveRuns: 0, record: "timed-out-while-queued" },
  );
});

test("a run that is canceled while it is queued ends, and nothing is launched", async () => {
  await withWorker(
    async ({ ports, begin }) => {
      const { id, handle } = await begin();
      await queued(handle);
      await handle.signal(cancelRun);
      expect(await handle.result()).toMatchObject({ status: "Canceled", statusReason: "Canceled by user" });
      expect(ports.calls).not.toContain(`launch ${id}`);
    },
    { maxLiveRuns: 0, record: "canceled-while-queued" },
  );
});

test("a queued run is admitted when a slot is free", async () => {
  await withWorker(
    async ({ ports, begin }) => {
      const { run: holder } = await db.runs.create(newRun());
      expect(await db.runs.admit(holder.id, 1)).toBe(true);
      const { id, handle, report } = await begin();
      await queued(handle);
      expect(ports.calls).toEqual([]);
      await db.runs.finish(holder, { status: "Succeeded", finishedAt: new Date().toISOString() });
      await handle.signal(slotFree);
      await launched(ports, id);
      await report(EXITED);
      expect(await handle.result()).toMatchObject({ status: "Succeeded" });
    },
    { maxLiveRuns: 1, record: "queued-then-admitted" },
  );
});

test("the terminal state is recorded while the log archive is still failing", async () => {
  await withWorker(async ({ ports, begin }) => {
    ports.archiveErrors.push(new CodedError("Unavailable", "no space"), new CodedError("Unavailable", "no space"));
    const { id, handle, report } = await begin();
    await launched(ports, id);
    await report(EXITED);
    await eventually(async () => (await db.runs.find(id))?.status === "Succeeded");
    expect(ports.calls).not.toContain(`remove ${id}`);
    await handle.result();
    expect(ports.calls.slice(-2)).toEqual([`archive ${id}`, `remove ${id}`]);
  });
});

test("at most N runs are admitted, oldest first; the others stay Pending and can be canceled", async () => {
  await withWorker(
    async ({ ports, begin }) => {
      const [first, second, third] = [await begin(), await begin(), await begin()];
      await launched(ports, first.id);
      await Promise.all([queued(second.handle), queued(third.handle)]);
      expect(ports.calls.filter((call) => call.startsWith("launch"))).toEqual([`launch ${first.id}`]);
      expect((await db.runs.find(second.id))?.status).toBe("Pending");
      await second.handle.signal(cancelRun);
      expect(await second.handle.result()).toMatchObject({ status: "Canceled" });
      await first.report(EXITED);
      await launched(ports, third.id);
      await third.report(EXITED);
      expect(await third.handle.result()).toMatchObject({ status: "Succeeded" });
    },
    { maxLiveRuns: 1 },
  );
});

test("a run without a uid has the workflow type whose argument is its number", async () => {
  await withWorker(
    async ({ ports, begin }) => {
      const { id, handle, report } = await begin({}, (runId) => withoutUid(runId));
      await launched(ports, id);
      await report(EXITED);
      expect(await handle.result()).toMatchObject({ status: "Succeeded" });
      expect(await db.runs.find(id)).toMatchObject({ status: "Succeeded", archivedAt: expect.any(String) });
    },
    { type: "runWorkflow" },
  );
});

test("signals that are meant for another run with the same number change nothing", async () => {
  await withWorker(
    async ({ ports, begin }) => {
      const { id, handle, report } = await begin();
      await launched(ports, id);
      await handle.signal(replicaChanged, { container: { phase: "Exited", exitCode: 9 } }, "another");
      await handle.signal(replicaChanged, { container: { phase: "Exited", exitCode: 9 } });
      await handle.signal(cancelRun, "another");
      expect(await handle.query(currentRun)).toMatchObject({
        cancelRequested: false,
        replica: { container: { phase: "Running" } },
      });
      await report(EXITED);
      expect(await handle.result()).toMatchObject({ status: "Succeeded" });
    },
    { record: "signals-of-another-run" },
  );
});

test("the workflow of a lost run ends without touching the run that has its number", async () => {
  await withWorker(async ({ ports, begin }) => {
    const { id, handle, report } = await begin();
    await launched(ports, id);
    await withoutUid(id);
    const before = await db.runs.find(id);
    await report(EXITED);
    await expect(handle.result()).rejects.toThrow("Workflow execution failed");
    expect(await db.runs.find(id)).toEqual(before);
    expect(ports.calls).toEqual([`launch ${id}`]);
  });
});
