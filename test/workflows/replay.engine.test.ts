import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { temporal } from "@temporalio/proto";
import { Worker, type WorkflowBundle } from "@temporalio/worker";
import { beforeAll, expect, test } from "vitest";
import { bundleWorkflows } from "../../worker/workflow-bundle.ts";

const HISTORIES = resolve(import.meta.dirname, "../histories");
const recorded = readdirSync(HISTORIES).toSorted();

let workflowBundle: WorkflowBundle;
beforeAll(async () => {
  workflowBundle = await bundleWorkflows();
});

/** Histories of workflows whose argument is a number: runs without a uid have such ones. */
const NUMBERED = [
  "archived-at-once",
  "canceled",
  "canceled-before-launch",
  "canceled-by-temporal",
  "canceled-during-launch",
  "canceled-while-queued",
  "discarded",
  "failed",
  "launch-failed",
  "pump-died",
  "queued-then-admitted",
  "timed-out",
  "timed-out-while-queued",
];
/** Histories that the tests of replicas record. */
const REPLICATED = ["replicas-succeeded", "replica-failed", "replicas-canceled", "replica-failed-during-launch"];
/** Histories that the tests of containers that begin after their launch record. */
const LATE = ["late-start", "late-start-timed-out"];
/** The history that the watcher's test records. */
const WATCHER = "watched-then-continued";
/** Histories of code that no longer records such ones; runs that began with it can still be in flight. */
const KEPT = {
  succeeded: "the logs were archived in a step of their own",
  "waited-for-a-place": "it was recorded under this name, but never waited",
};

test("each history is one that a test records, or is kept for a reason", () => {
  const tests = readFileSync(resolve(import.meta.dirname, "run.engine.test.ts"), "utf8");
  const names = [...tests.matchAll(/\brecord: "([a-z-]+)"/g)].map(([, name]) => name ?? "");
  const recordedBy = ["supervised", "executed"].flatMap((type) => names.map((name) => `${type}-${name}`));
  const supervised = [...REPLICATED, ...LATE].map((name) => `supervised-${name}`);
  const all = [...recordedBy, ...supervised, ...NUMBERED, WATCHER, ...Object.keys(KEPT)];
  expect(recorded).toEqual(all.map((name) => `${name}.json`).toSorted());
});

test.each(recorded)("%s replays with the workflow code of today", async (name) => {
  const history = temporal.api.history.v1.History.fromObject(JSON.parse(readFileSync(join(HISTORIES, name), "utf8")));
  await expect(Worker.runReplayHistory({ workflowBundle, replayName: name }, history)).resolves.toBeUndefined();
});
