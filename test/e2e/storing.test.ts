import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { identify } from "../../stack/host/processes.ts";
import { eventually } from "../eventually.ts";
import { createRun, run, showRun, startStack, type ShownRun, type TestStack } from "./stack.ts";

let stack: TestStack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack?.down();
});

const STORING = "The job has ended; its outputs are being stored";
/** The job gives the test the time to suspend its pump, writes, and ends. */
const SCRIPT = 'exec > "$OUT_PIPE"; sleep 4; echo data';

const ended = (id: string): Promise<ShownRun> =>
  eventually(
    async () => {
      const shown = await showRun(stack, id);
      return ["Running", "Canceling", "Pending"].includes(shown.status) ? undefined : shown;
    },
    { withinMs: 60_000 },
  );
const read = async (id: string) => {
  const { job } = await showRun(stack, id);
  const { code, stdout, stderr } = await stack.tyger(["buffer", "read", job.buffers["out"] ?? ""]);
  return { code, stdout: stdout.toString(), stderr };
};

/** A run whose job has ended and whose pump is suspended. */
async function suspended(timeout: string): Promise<{ id: string; pump: number }> {
  const flags = ["--timeout", timeout];
  const id = await createRun(stack, inject("testImage"), SCRIPT, { outputs: ["out"] }, flags);
  const pump = await eventually(async () => {
    const listed = await run("pgrep", ["-f", `pump.js ${stack.dataDir}/runs/${id}-`], { env: stack.env });
    return Number(listed.stdout.toString().trim().split("\n")[0]);
  });
  await eventually(async () => (await showRun(stack, id)).status === "Running");
  process.kill(pump, "SIGSTOP");
  await eventually(async () => (await showRun(stack, id)).statusReason === STORING, { withinMs: 30_000 });
  expect((await showRun(stack, id)).status).toBe("Running");
  return { id, pump };
}

/** The pump does what it was last commanded, and ends. */
async function resumed(pump: number): Promise<void> {
  process.kill(pump, "SIGCONT");
  await eventually(() => identify(pump) === undefined);
}

describe("a run whose job has ended and whose outputs are still being stored", () => {
  test("is Canceled by a cancel", async () => {
    const { id, pump } = await suspended("10m");
    await stack.tyger(["run", "cancel", id]);
    expect(await ended(id)).toMatchObject({ status: "Canceled", statusReason: "Canceled by user" });
    await resumed(pump);
    expect(await read(id)).toMatchObject({ code: 1, stderr: expect.stringContaining("permanently failed") });
  });

  test("times out at its deadline", async () => {
    const { id, pump } = await suspended("20s");
    expect(await ended(id)).toMatchObject({
      status: "Failed",
      statusReason: "The run did not end within its timeout",
    });
    await resumed(pump);
    expect(await read(id)).toMatchObject({ code: 1, stderr: expect.stringContaining("permanently failed") });
  });

  test("succeeds once they are stored, and then no longer says that it waits", async () => {
    const { id, pump } = await suspended("10m");
    process.kill(pump, "SIGCONT");
    const { status, statusReason } = await ended(id);
    expect({ status, statusReason }).toEqual({ status: "Succeeded", statusReason: undefined });
    expect(await read(id)).toMatchObject({ code: 0, stdout: "data\n" });
  });
});
