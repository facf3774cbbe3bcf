import type { WorkflowHandle } from "@temporalio/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CodedError } from "../../model/errors.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import type { FakeRunPorts } from "../fakes/run-ports.ts";
import type { Database } from "../../model/ports/database.ts";
import type { FailureCause } from "../../model/run/lifecycle.ts";
import type { TerminalStatus } from "../../model/run/run.ts";
import { cancelRun, currentRun, replicaChanged, slotFree } from "../../workflows/messages.ts";
import { eventually } from "../eventually.ts";
import { runEndOf } from "../../workflows/run-end.ts";
import {
  EXITED,
  launched,
  newRun,
  openStage,
  queued,
  type Begun,
  type RunWorkflowType,
  type Scene,
  type Stage,
} from "./stage.ts";

let stage: Stage;
let db: Database;

beforeAll(async () => {
  stage = await openStage();
  ({ db } = stage);
});
afterAll(() => stage?.close());

/** Each type of workflow that runs with a uid can have, and how it closes. */
const TYPES: [RunWorkflowType, Record<TerminalStatus, string>][] = [
  ["superviseRun", { Succeeded: "COMPLETED", Failed: "FAILED", Canceled: "CANCELED" }],
  ["executeRun", { Succeeded: "COMPLETED", Failed: "COMPLETED", Canceled: "COMPLETED" }],
];

describe.each(TYPES)("a workflow of type %s", (type, closings) => {
  const withWorker: Stage["withWorker"] = (script, options) => stage.withWorker(script, { type, ...options });
  const closed = (status: TerminalStatus) => ({ status, closedAs: closings[status] });

  test("a job that exits with 0 succeeds, with few activities and events, and keeps its secrets out of history", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        const { id, handle, report, end } = await begin();
        await launched(ports, id);
        await report({ container: { phase: "Running" } });
        await report(EXITED);
        expect(await end()).toMatchObject({ ...closed("Succeeded") });
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
        const { id, report, end } = await begin();
        await launched(ports, id);
        await report({
          container: { phase: "Exited", exitCode: 3, finishedAt: new Date().toISOString() },
        });
        expect(await end()).toMatchObject({ ...closed("Failed"), statusReason: "Main exited with code 3" });
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
      const { id, handle, end } = await begin();
      await launched(ports, id);
      await cancel(handle);
      expect(await end()).toMatchObject({ ...closed("Canceled"), statusReason: "Canceled by user" });
      expect(ports.calls.filter((call) => call.startsWith("stop"))).toEqual([`stop ${id}`]);
    }, recording);
  });

  test("a cancel before the workflow runs launches nothing", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        const { id, end } = await begin({}, (runId) => db.runs.requestCancel(runId));
        expect(await end()).toMatchObject({ ...closed("Canceled") });
        expect(ports.calls).not.toContain(`launch ${id}`);
      },
      { record: "canceled-before-launch" },
    );
  });

  test("a running run that exceeds its timeout fails, and its reason names the timeout", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        const { id, end } = await begin({ timeoutSeconds: 2 });
        await launched(ports, id);
        expect(await end()).toMatchObject({
          ...closed("Failed"),
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
        const { end } = await begin();
        expect(await end()).toMatchObject({ ...closed("Failed"), statusReason: "no such program: 'bsh'" });
      },
      { record: "launch-failed" },
    );
  });

  test("a pump that dies under a running job stops the job and fails the run", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        const { id, report, end } = await begin();
        await launched(ports, id);
        await report({ container: { phase: "Running" }, pump: { phase: "Dead" } });
        expect(await end()).toMatchObject({
          ...closed("Failed"),
          statusReason: expect.stringContaining("streams the buffers died"),
        });
        expect(ports.calls).toContain(`stop ${id}`);
      },
      { record: "pump-died" },
    );
  });

  test("an exit code of 0 is not a success before the pump has its result", async () => {
    await withWorker(async ({ ports, begin }) => {
      const { id, handle, report, end } = await begin();
      await launched(ports, id);
      await report({ ...EXITED, pump: { phase: "Running" } });
      await eventually(async () => (await handle.query(currentRun)).replica.container.phase === "Exited");
      expect((await db.runs.find(id))?.status).toBe("Running");
      await report({ ...EXITED, pump: { phase: "Succeeded" } });
      expect(await end()).toMatchObject({ ...closed("Succeeded") });
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
        const { id, handle, report, end } = await begin();
        await launched(ports, id);
        await report(storing());
        await eventually(async () => (await handle.query(currentRun)).phase === "storing the outputs");
        await handle.signal(cancelRun);
        expect(await end()).toMatchObject({ ...closed("Canceled"), statusReason: "Canceled by user" });
        expect(ports.marks).toEqual([(await db.runs.find(id))?.job.buffers?.["out"]]);
      });
    });

    test("times out at its deadline", async () => {
      await withWorker(async ({ ports, begin }) => {
        givesUp(ports);
        const { id, report, end } = await begin({ timeoutSeconds: 3 });
        await launched(ports, id);
        await report(storing());
        expect(await end()).toMatchObject({
          ...closed("Failed"),
          statusReason: "The run did not end within its timeout",
        });
      });
    });
  });

  test("a launch is tried again while the engine is down", async () => {
    await withWorker(async ({ ports, begin }) => {
      for (let i = 0; i < 3; i++) ports.launchErrors.push(new CodedError("Unavailable", "the engine is away"));
      const { id, report, end } = await begin();
      await eventually(() => ports.calls.filter((call) => call === `launch ${id}`).length === 4);
      await report(EXITED);
      expect(await end()).toMatchObject({ ...closed("Succeeded") });
    });
  });

  test("a cancel during a launch that keeps failing ends at once", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        for (let i = 0; i < 100; i++) ports.launchErrors.push(new CodedError("Unavailable", "the engine is away"));
        const { id, handle, end } = await begin();
        await launched(ports, id);
        await handle.signal(cancelRun);
        expect(await end()).toMatchObject({ ...closed("Canceled") });
      },
      { record: "canceled-during-launch" },
    );
  });

  test("a run whose logs can never be archived loses them, and its engine is cleaned", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        // The first attempt is part of recording the end, the second is a step of its own.
        for (let i = 0; i < 2; i++) ports.archiveErrors.push(new CodedError("NotFound", "The logs are gone"));
        const { id, report, end } = await begin();
        await launched(ports, id);
        await report(EXITED);
        expect(await end()).toMatchObject({ ...closed("Succeeded") });
        expect(ports.calls).toEqual([`launch ${id}`, `archive ${id}`, `archive ${id}`, `remove ${id}`]);
        expect(await db.runs.find(id)).toMatchObject({ archivedAt: expect.any(String) });
      },
      { record: "discarded" },
    );
  });

  test("a queued run that exceeds its timeout is canceled, its reason names the timeout, and nothing is launched", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        const { id, end } = await begin({ timeoutSeconds: 1 });
        expect(await end()).toMatchObject({
          ...closed("Canceled"),
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
        const { id, handle, end } = await begin();
        await queued(handle);
        await handle.signal(cancelRun);
        expect(await end()).toMatchObject({ ...closed("Canceled"), statusReason: "Canceled by user" });
        expect(ports.calls).not.toContain(`launch ${id}`);
      },
      { maxLiveRuns: 0, record: "canceled-while-queued" },
    );
  });

  test("a queued run is admitted when a slot is free", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        const { run: holder } = await db.runs.create(newRun());
        expect(await db.runsIn("docker").admit(holder.id, 1)).toBe(true);
        const { id, handle, report, end } = await begin();
        await queued(handle);
        expect(ports.calls).toEqual([]);
        await db.runs.finish(holder, { status: "Succeeded", finishedAt: new Date().toISOString() });
        await handle.signal(slotFree);
        await launched(ports, id);
        await report(EXITED);
        expect(await end()).toMatchObject({ ...closed("Succeeded") });
      },
      { maxLiveRuns: 1, record: "queued-then-admitted" },
    );
  });

  test("the terminal state is recorded while the log archive is still failing", async () => {
    await withWorker(async ({ ports, begin }) => {
      ports.archiveErrors.push(new CodedError("Unavailable", "no space"), new CodedError("Unavailable", "no space"));
      const { id, report, end } = await begin();
      await launched(ports, id);
      await report(EXITED);
      await eventually(async () => (await db.runs.find(id))?.status === "Succeeded");
      expect(ports.calls).not.toContain(`remove ${id}`);
      await end();
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
        expect(await second.end()).toMatchObject({ ...closed("Canceled") });
        await first.report(EXITED);
        await launched(ports, third.id);
        await third.report(EXITED);
        expect(await third.end()).toMatchObject({ ...closed("Succeeded") });
      },
      { maxLiveRuns: 1 },
    );
  });

  test("signals that are meant for another run with the same number change nothing", async () => {
    await withWorker(
      async ({ ports, begin }) => {
        const { id, handle, report, end } = await begin();
        await launched(ports, id);
        await eventually(async () => (await handle.query(currentRun)).replica.container.phase === "Running");
        await eventually(async () => (await handle.query(currentRun)).replica.container.phase === "Running");
        await handle.signal(replicaChanged, { container: { phase: "Exited", exitCode: 9 } }, "another");
        await handle.signal(replicaChanged, { container: { phase: "Exited", exitCode: 9 } });
        await handle.signal(cancelRun, "another");
        expect(await handle.query(currentRun)).toMatchObject({
          cancelRequested: false,
          replica: { container: { phase: "Running" } },
        });
        await report(EXITED);
        expect(await end()).toMatchObject({ ...closed("Succeeded") });
      },
      { record: "signals-of-another-run" },
    );
  });

  test("the workflow of a lost run ends without touching the run that has its number", async () => {
    await withWorker(async ({ ports, begin }) => {
      const { id, handle, report } = await begin();
      await launched(ports, id);
      await stage.withoutUid(id);
      const before = await db.runs.find(id);
      await report(EXITED);
      await expect(handle.result()).rejects.toThrow("Workflow execution failed");
      expect(await db.runs.find(id)).toEqual(before);
      expect(ports.calls).toEqual([`launch ${id}`]);
      // Its slot is free for the next test.
      await db.runs.finish({ id }, { status: "Succeeded" });
    });
  });
});

test("a run without a uid has the workflow type whose argument is its number", async () => {
  await stage.withWorker(
    async ({ ports, begin }) => {
      const { id, report, end } = await begin({}, (runId) => stage.withoutUid(runId));
      await launched(ports, id);
      await report(EXITED);
      expect(await end()).toMatchObject({ status: "Succeeded" });
      expect(await db.runs.find(id)).toMatchObject({ status: "Succeeded", archivedAt: expect.any(String) });
    },
    { type: "runWorkflow" },
  );
});

test("a slot that is offered while the run asks for one is taken", async () => {
  await stage.withWorker(
    async ({ ports, begin }) => {
      const { run: holder } = await db.runs.create(newRun());
      expect(await db.runsIn("docker").admit(holder.id, 1)).toBe(true);
      const { promise: hasLeft, resolve: leave } = Promise.withResolvers<void>();
      const { hasSearchAttributes } = ports;
      // The answer that there is no slot is under way until the slot is offered.
      ports.hasSearchAttributes = async () => {
        await hasLeft;
        return hasSearchAttributes();
      };
      const { id, handle, report, end } = await begin();
      await eventually(async () => (await db.runsIn("docker").nextToAdmit(2)).includes(id));
      await db.runs.finish(holder, { status: "Succeeded", finishedAt: new Date().toISOString() });
      await handle.signal(slotFree);
      leave();
      await launched(ports, id);
      await report(EXITED);
      expect(await end()).toMatchObject({ status: "Succeeded" });
    },
    { maxLiveRuns: 1 },
  );
});

describe("a cancel that does not pass through the API", () => {
  test.each([
    ["the signal", (handle: WorkflowHandle) => handle.signal(cancelRun)],
    ["Temporal's own", (handle: WorkflowHandle) => handle.cancel()],
  ])("is in the row before anything is stopped: %s", async (_name, cancel) => {
    await stage.withWorker(async ({ ports, begin }) => {
      const { id, handle, end } = await begin();
      await launched(ports, id);
      const rows: (string | undefined)[] = [];
      const stop = ports.compute.stop.bind(ports.compute);
      ports.compute.stop = async (run, replica) => {
        const row = await db.runs.find(run.id);
        rows.push(row?.status, row?.cancelRequestedAt);
        return stop(run, replica);
      };
      await cancel(handle);
      const ended = await end();
      expect(ended).toMatchObject({ status: "Canceled", closedAs: "CANCELED" });
      expect(rows).toEqual(["Canceling", ended.cancelRequestedAt]);
    });
  });

  test("does not count when the job had ended by itself before it was written", async () => {
    await stage.withWorker(async ({ ports, begin }) => {
      const { id, handle, end } = await begin();
      await launched(ports, id);
      ports.compute.stop = async () => ({
        container: { phase: "Exited", exitCode: 0, finishedAt: new Date(Date.now() - 3_600_000).toISOString() },
      });
      await handle.signal(cancelRun);
      expect(await end()).toMatchObject({ status: "Succeeded" });
    });
  });
});

test("an exit between the cancel in the row and its signal is a cancel: the instant in the row counts", async () => {
  await stage.withWorker(async ({ ports, begin }) => {
    const { id, handle, end } = await begin();
    await launched(ports, id);
    const canceled = await db.runs.requestCancel(id);
    const afterMs = Date.parse(canceled?.cancelRequestedAt ?? "") + 1;
    ports.compute.stop = async () => ({
      container: { phase: "Exited", exitCode: 0, finishedAt: new Date(afterMs).toISOString() },
    });
    await eventually(() => Date.now() > afterMs + 1);
    await handle.signal(cancelRun);
    expect(await end()).toMatchObject({ status: "Canceled", cancelRequestedAt: canceled?.cancelRequestedAt });
  });
});

test("a run whose slot is free has its container after one step, and ends after two", async () => {
  await stage.withWorker(async ({ ports, begin }) => {
    const { id, handle, report, end } = await begin();
    await launched(ports, id);
    await report(EXITED);
    await end();
    const { events } = await handle.fetchHistory();
    const count = (name: "workflowTaskCompletedEventAttributes" | "markerRecordedEventAttributes") =>
      events?.filter((event) => event[name]).length;
    expect(count("markerRecordedEventAttributes")).toBe(0);
    // The start, the launched container, its exit and the recorded end; the first two can be one.
    expect(count("workflowTaskCompletedEventAttributes")).toBeLessThanOrEqual(4);
  });
});

test.each([
  [{ status: "Succeeded" } as const, "COMPLETED"],
  [{ status: "Failed", statusReason: "lost" } as const, "FAILED"],
  [{ status: "Canceled", statusReason: "Canceled by user" } as const, "CANCELED"],
])(
  "a repeated workflow of a run that ended as %o launches nothing and closes in the same way",
  async (outcome, closing) => {
    await stage.withWorker(async ({ ports, begin }) => {
      const { id, end } = await begin({}, async (runId) => {
        const row = await db.runs.find(runId);
        if (row) await db.runs.finish(row, outcome);
      });
      expect(await end()).toMatchObject({ ...outcome, closedAs: closing });
      expect(ports.calls).toEqual([`archive ${id}`, `remove ${id}`]);
    });
  },
);

test.each<[FailureCause, string, (scene: Scene) => Promise<Begun>]>([
  [
    "JobFailed",
    "Main exited with code 3: Killed",
    async ({ ports, begin }) => {
      const begun = await begin();
      await launched(ports, begun.id);
      await begun.report({ container: { phase: "Exited", exitCode: 3, message: "Killed" } });
      return begun;
    },
  ],
  [
    "StepFailed",
    "no such program: 'bsh'",
    async ({ ports, begin }) => {
      ports.launchErrors.push(new CodedError("LaunchFailed", "no such program: 'bsh'"));
      return begin();
    },
  ],
  [
    "ContainerLost",
    "The container disappeared; its exit code is unknown",
    async ({ ports, begin }) => {
      const begun = await begin();
      await launched(ports, begun.id);
      await begun.report({ container: { phase: "Gone" } });
      return begun;
    },
  ],
])("a program that awaits a failed run gets its cause: %s", async (cause, statusReason, play) => {
  await stage.withWorker(async (scene) => {
    const { id, handle } = await play(scene);
    const failure: unknown = await handle.result().catch((err: unknown) => err);
    expect(runEndOf(failure)).toMatchObject({ status: "Failed", cause, statusReason, runId: id });
    const { events } = await handle.fetchHistory();
    expect(events?.at(-1)?.workflowExecutionFailedEventAttributes?.failure).toMatchObject({
      message: statusReason,
      stackTrace: "",
      applicationFailureInfo: { type: cause, nonRetryable: true },
    });
  });
});

test("a program that awaits a canceled run gets that it was canceled, and other errors are not ends of runs", async () => {
  await stage.withWorker(async ({ ports, begin }) => {
    const { id, handle } = await begin();
    await launched(ports, id);
    await handle.signal(cancelRun);
    expect(runEndOf(await handle.result().catch((err: unknown) => err))).toEqual({ status: "Canceled" });
    expect(runEndOf(new Error("Temporal is away"))).toBeUndefined();
    const nowhere = stage.rig.client.workflow.getHandle(`${handle.workflowId}-nowhere`);
    expect(runEndOf(await nowhere.result().catch((err: unknown) => err))).toBeUndefined();
  });
});
