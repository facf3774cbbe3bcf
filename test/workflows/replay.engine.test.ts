import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { temporal } from "@temporalio/proto";
import { bundleWorkflowCode, DefaultLogger, Worker, type WorkflowBundle } from "@temporalio/worker";
import { beforeAll, expect, test } from "vitest";

const HISTORIES = resolve(import.meta.dirname, "../histories");
const recorded = readdirSync(HISTORIES).filter((name) => name.endsWith(".json"));

let workflowBundle: WorkflowBundle;
beforeAll(async () => {
  workflowBundle = await bundleWorkflowCode({
    workflowsPath: resolve(import.meta.dirname, "../../workflows/index.ts"),
    logger: new DefaultLogger("ERROR"),
  });
});

test("there is a history of each outcome", () => {
  expect(recorded.length).toBeGreaterThanOrEqual(9);
});

test.each(recorded)("%s replays with the workflow code of today", async (name) => {
  const history = temporal.api.history.v1.History.fromObject(JSON.parse(readFileSync(join(HISTORIES, name), "utf8")));
  await expect(Worker.runReplayHistory({ workflowBundle, replayName: name }, history)).resolves.toBeUndefined();
});
