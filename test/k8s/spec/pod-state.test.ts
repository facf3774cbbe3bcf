import { describe, expect, test } from "vitest";
import { PATIENCE } from "../../../k8s/spec/cluster-settings.ts";
import { sightOf } from "../../../k8s/spec/pod-state.ts";
import type { Pod } from "../../../k8s/spec/wire.ts";
import { condition, containerStatus, IMAGE, podOf, SCHEDULED_AT, STARTED_AT, withMain } from "./pods.ts";

const NOW_MS = Date.parse(SCHEDULED_AT) + 10_000;
const look = { nowMs: NOW_MS, patience: PATIENCE };
const start = { startedAt: "2026-01-01T10:00:05.000000000Z" };
const ended = { phase: "Exited", ...start, finishedAt: "2026-01-01T10:00:08.000000000Z" };
/** An end in the second of the deletion, or later, counts as one after it. */
const endedLate = { ...ended, finishedAt: "2026-01-01T10:00:08.999999999Z" };
const terminated = (exitCode: number, more: object = {}) => ({
  terminated: {
    exitCode,
    reason: exitCode === 0 ? "Completed" : "Error",
    startedAt: STARTED_AT,
    finishedAt: "2026-01-01T10:00:08Z",
    ...more,
  },
});
const running = { running: { startedAt: STARTED_AT } };
const creating = { waiting: { reason: "ContainerCreating" } };
/** Deleted at 10:00:06 with a grace period of 2 s. */
const deleted = { deletionTimestamp: "2026-01-01T10:00:08Z", deletionGracePeriodSeconds: 2 };

describe("the state of a pod's job container", () => {
  test.each<[string, Pod, object]>([
    [
      "a pod that the scheduler has not seen",
      podOf({ phase: "Pending", conditions: [] }, {}, ""),
      { phase: "Created" },
    ],
    [
      "one that fits on no node says why",
      podOf(
        {
          phase: "Pending",
          conditions: [
            condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu."),
          ],
        },
        {},
        "",
      ),
      { phase: "Created", message: "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu." },
    ],
    ["one whose container is being created", podOf(withMain(creating)), { phase: "Created" }],
    [
      "one whose fence is closed",
      podOf(withMain({ waiting: { reason: "CreateContainerConfigError", message: 'secret "run-7-job" not found' } })),
      { phase: "Created", message: 'main: CreateContainerConfigError: secret "run-7-job" not found' },
    ],
    ["a running one", podOf(withMain(running, { phase: "Running" })), { phase: "Running", ...start }],
    ["a success", podOf(withMain(terminated(0), { phase: "Succeeded" })), { ...ended, exitCode: 0 }],
    [
      "a success before the phase has changed",
      podOf(withMain(terminated(0), { phase: "Running" })),
      { ...ended, exitCode: 0 },
    ],
    ["a failure", podOf(withMain(terminated(3), { phase: "Failed" })), { ...ended, exitCode: 3 }],
    [
      "an end that the node dates before the start",
      podOf(withMain(terminated(3, { finishedAt: "2026-01-01T09:00:00Z" }))),
      { phase: "Exited", ...start, finishedAt: start.startedAt, exitCode: 3 },
    ],
    [
      "a kill from outside",
      podOf(withMain(terminated(137), { phase: "Failed" })),
      { ...ended, exitCode: 137, message: "Killed (SIGKILL): by a user, or because memory ran out" },
    ],
    [
      "an out-of-memory kill",
      podOf(withMain(terminated(137, { reason: "OOMKilled" }), { phase: "Failed" })),
      { ...ended, exitCode: 137, message: "The container ran out of memory (OOMKilled)", cutOff: true },
    ],
    [
      "an out-of-memory kill of a child, with a success of its parent",
      podOf(withMain(terminated(0, { reason: "OOMKilled" }), { phase: "Succeeded" })),
      { ...ended, exitCode: 0, message: "The container ran out of memory (OOMKilled)", cutOff: true },
    ],
    [
      "a program that is not in the image",
      podOf(
        withMain(
          terminated(128, {
            reason: "StartError",
            message: 'exec: "/no": not found',
            startedAt: "1970-01-01T00:00:00Z",
          }),
          { phase: "Failed" },
        ),
      ),
      {
        phase: "Exited",
        finishedAt: ended.finishedAt,
        exitCode: 128,
        message: 'The program could not be started: exec: "/no": not found',
      },
    ],
    [
      "an eviction of a running job",
      podOf(
        withMain(terminated(143), {
          phase: "Failed",
          reason: "Evicted",
          message: "The node was low on resource: memory. ",
        }),
      ),
      { ...ended, exitCode: 143, message: "Evicted: The node was low on resource: memory.", cutOff: true },
    ],
    [
      "an eviction that a job answers with a success",
      podOf(
        withMain(terminated(0), {
          phase: "Failed",
          reason: "Evicted",
          message: "The node was low on resource: memory.",
        }),
      ),
      { phase: "Gone", message: "Evicted: The node was low on resource: memory." },
    ],
    [
      "an eviction before the start",
      podOf({
        phase: "Failed",
        reason: "Evicted",
        message: "Pod was rejected: The node had condition: [DiskPressure].",
      }),
      { phase: "Gone", message: "Evicted: Pod was rejected: The node had condition: [DiskPressure]." },
    ],
    [
      "the deadline of the pod",
      podOf(
        withMain(terminated(137), { phase: "Failed", reason: "DeadlineExceeded", message: "Pod was active too long" }),
      ),
      { ...ended, exitCode: 137, message: "DeadlineExceeded: Pod was active too long", cutOff: true },
    ],
    [
      "a preemption",
      podOf(
        withMain(terminated(143), {
          phase: "Failed",
          conditions: [condition("DisruptionTarget", "True", "PreemptionByScheduler", "default-scheduler: preempting")],
        }),
        deleted,
      ),
      { ...endedLate, exitCode: 143, message: "PreemptionByScheduler: default-scheduler: preempting" },
    ],
    [
      "a deleted pod whose job was killed",
      podOf(withMain(terminated(143), { phase: "Failed" }), deleted),
      { ...endedLate, exitCode: 143, message: "The pod 'run-7-job-0' was deleted" },
    ],
    [
      "a job that failed before its pod was deleted",
      podOf(withMain(terminated(143, { finishedAt: "2026-01-01T10:00:05Z" })), deleted),
      { ...ended, finishedAt: start.startedAt, exitCode: 143 },
    ],
    [
      "a job that answers the deletion with a code of its own",
      podOf(withMain(terminated(3), { phase: "Failed" }), deleted),
      { ...endedLate, exitCode: 3 },
    ],
    [
      "a pod that was deleted before it was put on a node",
      podOf({ phase: "Pending", conditions: [] }, deleted, ""),
      { phase: "Gone", message: "The pod 'run-7-job-0' was deleted before it was put on a node" },
    ],
    [
      "a container of which the node knows nothing any more",
      podOf(
        withMain(
          {
            terminated: {
              exitCode: 137,
              reason: "ContainerStatusUnknown",
              message: "The container could not be located",
            },
          },
          { phase: "Failed" },
        ),
      ),
      { phase: "Gone", message: "ContainerStatusUnknown: The container could not be located" },
    ],
    [
      "a pod whose node is no longer in the cluster",
      podOf({
        phase: "Failed",
        conditions: [condition("DisruptionTarget", "True", "DeletionByPodGC", "PodGC: node no longer exists")],
      }),
      { phase: "Gone", message: "DeletionByPodGC: PodGC: node no longer exists" },
    ],
    [
      "a helper that fails before the job",
      podOf({ phase: "Failed", initContainerStatuses: [containerStatus("pipes", { terminated: { exitCode: 2 } })] }),
      { phase: "Gone", message: "Sidecar exited with code 2" },
    ],
    [
      "a pod that was deleted while its container could not be started",
      podOf(
        withMain(
          // As the kubelet writes it.
          {
            terminated: { exitCode: 137, reason: "ContainerStatusUnknown", startedAt: null, finishedAt: null } as never,
          },
          { phase: "Failed" },
        ),
        deleted,
      ),
      { phase: "Gone", message: "The pod 'run-7-job-0' was deleted before its container was started" },
    ],
    ["a failed pod without any word", podOf({ phase: "Failed" }), { phase: "Gone", message: "Failed" }],
  ])("%s", (_name, pod, expected) => {
    expect(sightOf(pod, look)).toEqual({ container: expected });
  });
});

test("a container never starts or ends before its run was created", () => {
  const annotations = { "tyger-run-created-at": "2026-01-01T10:00:08.123456+00:00" };
  const createdAt = "2026-01-01T10:00:08.123456000Z";
  const exit = sightOf(podOf(withMain(terminated(0), { phase: "Succeeded" }), { annotations }), look);
  expect(exit.container).toMatchObject({ startedAt: createdAt, finishedAt: createdAt });
  const begun = sightOf(podOf(withMain(running, { phase: "Running" }), { annotations }), look);
  expect(begun.container).toEqual({ phase: "Running", startedAt: createdAt });
});

describe("a deleted pod that its node does not end", () => {
  const lostAtMs = Date.parse(deleted.deletionTimestamp) + PATIENCE.lostMs;
  const pod = podOf(withMain(running, { phase: "Running" }), deleted);

  test("runs until the node has had its time", () => {
    const sight = sightOf(pod, { ...look, nowMs: lostAtMs - 1 });
    expect(sight).toEqual({ container: { phase: "Running", ...start }, changesAtMs: lostAtMs });
  });

  test.each<[string, Pod, string]>([
    ["is gone with its node", pod, "The node 'node-a' was lost: it did not end the deleted pod 'run-7-job-0'"],
    [
      "has the reason of its deletion",
      podOf(
        withMain(running, {
          phase: "Running",
          conditions: [condition("DisruptionTarget", "True", "DeletionByTaintManager", "Taint manager: deleting")],
        }),
        deleted,
      ),
      "The node 'node-a' was lost: it did not end the deleted pod 'run-7-job-0' (DeletionByTaintManager: Taint manager: deleting)",
    ],
  ])("afterwards it %s", (_name, lost, message) => {
    expect(sightOf(lost, { ...look, nowMs: lostAtMs })).toEqual({ container: { phase: "Gone", message } });
  });
});

describe("an image that is not pulled", () => {
  const scheduledMs = Date.parse(SCHEDULED_AT);
  const USER_MS = scheduledMs + 60_000;
  const SYSTEM_MS = scheduledMs + 1_800_000;
  const NOT_FOUND = `rpc error: code = NotFound desc = failed to pull and unpack image "${IMAGE}": ${IMAGE}: not found`;
  const waits = (reason: string, message?: string): Pod =>
    podOf(withMain({ waiting: { reason, ...(message === undefined ? {} : { message }) } }));
  const textOf = (words: string): string => `The image '${IMAGE}' cannot be pulled: ${words}`;

  test.each<[string, Pod]>([
    ["ErrImageNeverPull", waits("ErrImageNeverPull", "Container image is not present with pull policy of Never")],
    ["InvalidImageName", waits("InvalidImageName", "couldn't parse image name")],
    ["SignatureValidationFailed", waits("SignatureValidationFailed", "no signature")],
  ])("%s ends the pod at once", (reason, pod) => {
    const message = pod.status?.containerStatuses?.[0]?.state?.waiting?.message;
    expect(sightOf(pod, { ...look, nowMs: scheduledMs })).toEqual({
      container: { phase: "Gone", message: textOf(`${reason}: ${message}`) },
    });
  });

  test.each(["ErrImagePull", "ImageInspectError", "RegistryUnavailable"])("%s has a minute", (reason) => {
    const message = textOf(`${reason}: ${NOT_FOUND}`);
    const before = { container: { phase: "Created", message }, changesAtMs: USER_MS };
    expect(sightOf(waits(reason, NOT_FOUND), { ...look, nowMs: USER_MS - 1 })).toEqual(before);
    const after = { container: { phase: "Gone", message } };
    expect(sightOf(waits(reason, NOT_FOUND), { ...look, nowMs: USER_MS })).toEqual(after);
  });

  test.each<[string, string | undefined, string | undefined, string]>([
    [
      "the error before it",
      `Back-off pulling image "${IMAGE}"`,
      textOf("ErrImagePull: no route"),
      textOf("ErrImagePull: no route"),
    ],
    [
      "its own error where it has one",
      `Back-off pulling image "${IMAGE}": ErrImagePull: ${NOT_FOUND}`,
      textOf("ErrImagePull: no route"),
      textOf(`ImagePullBackOff: Back-off pulling image "${IMAGE}": ErrImagePull: ${NOT_FOUND}`),
    ],
    [
      "itself where nothing else is known",
      `Back-off pulling image "${IMAGE}"`,
      undefined,
      textOf(`ImagePullBackOff: Back-off pulling image "${IMAGE}"`),
    ],
    ["itself after a message about something else", undefined, "Unschedulable: no nodes", textOf("ImagePullBackOff")],
  ])("a back-off shows %s", (_name, message, earlier, expected) => {
    const { container } = sightOf(waits("ImagePullBackOff", message), { ...look, nowMs: USER_MS, earlier });
    expect(container).toEqual({ phase: "Gone", message: expected });
  });

  test("an image that users do not choose has half an hour from the scheduling of the pod", () => {
    const pod = podOf({
      phase: "Pending",
      conditions: [condition("PodScheduled", "True"), condition("Initialized", "False")],
      initContainerStatuses: [containerStatus("pipes", { waiting: { reason: "ErrImagePull", message: NOT_FOUND } })],
    });
    expect(sightOf(pod, { ...look, nowMs: SYSTEM_MS - 1 })).toMatchObject({ changesAtMs: SYSTEM_MS });
    expect(sightOf(pod, { ...look, nowMs: SYSTEM_MS }).container.phase).toBe("Gone");
  });

  test.each([
    ["ErrImagePull", "pull QPS exceeded"],
    ["ImagePullBackOff", `Back-off pulling image "${IMAGE}": ErrImagePull: pull QPS exceeded`],
  ])("%s by the node's own limit never ends the pod", (reason, message) => {
    const { container, changesAtMs } = sightOf(waits(reason, message), { ...look, nowMs: SYSTEM_MS * 2 });
    expect(container.phase).toBe("Created");
    expect(changesAtMs).toBeUndefined();
  });
});
