import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { PATIENCE } from "../../k8s/spec/cluster-settings.ts";
import { podNameOf } from "../../k8s/spec/names.ts";
import { hasEnded, type ContainerState } from "../../model/run/lifecycle.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { eventually } from "../eventually.ts";
import { testRootJob } from "../ports/root-job.ts";
import { openKubeRig, type KubeRig } from "./rig.ts";

const why = inject("whyNoCluster");

test("there is a cluster", ({ skip }) => {
  skip(why !== "", why);
  expect(inject("kubeconfig")).not.toBe("");
});

/** The ends of pods, as the watcher reports them on a real cluster. */
function describePods(): void {
  let rig: KubeRig;
  const heard = new Map<number, ContainerState[]>();
  const stop = new AbortController();
  let watching: Promise<void>;
  beforeAll(async () => {
    rig = await openKubeRig({ patience: { ...PATIENCE, userImageMs: 3000 } });
    watching = rig.watcher.watch(async ({ id }, { state }) => {
      heard.set(id, [...(heard.get(id) ?? []), state.container]);
    }, stop.signal);
  });
  afterAll(async () => {
    stop.abort();
    await watching;
    await rig.close();
  });

  const launched = async (run: RunRecord): Promise<RunRecord> => {
    await rig.writer.provision(run);
    await rig.writer.launch(run, 0);
    return run;
  };
  const lastOf = ({ id }: RunRecord): ContainerState | undefined => heard.get(id)?.at(-1);
  const endOf = (run: RunRecord): Promise<ContainerState> =>
    eventually(
      () => {
        const last = lastOf(run);
        return last && hasEnded(last) ? last : undefined;
      },
      { withinMs: 30_000 },
    );

  testRootJob(() => rig);

  test("a job that runs out of memory", async () => {
    const limits = { memory: "32Mi" };
    const script = "a=$(head -c 200m /dev/zero | tr '\\0' x); echo ${#a}";
    const end = await endOf(await launched(rig.shell(script, { resources: { limits } })));
    expect(end).toMatchObject({
      phase: "Exited",
      exitCode: 137,
      message: "The container ran out of memory (OOMKilled)",
      cutOff: true,
    });
  });

  test("a pod that fits on no node says why while it waits, and ends when it is stopped", async () => {
    const run = await launched(rig.shell("true", { resources: { requests: { cpu: "1000" } } }));
    await eventually(() => lastOf(run)?.message);
    expect(lastOf(run)).toMatchObject({ phase: "Created", message: /^Unschedulable: .*Insufficient cpu/ });
    const { container } = await rig.writer.stop(run, 0);
    expect(container).toEqual({
      phase: "Gone",
      message: `The pod '${podNameOf(run.id, 0)}' was deleted before it was put on a node`,
    });
  });

  test.each([
    [
      "that no registry gives",
      "localhost:1/no/such:1",
      /^The image 'localhost:1\/no\/such:1' cannot be pulled: .*connection refused/,
    ],
    ["whose name is not valid", "img:::x", /^The image 'img:::x' cannot be pulled: InvalidImageName: /],
  ])("an image %s", async (_name, image, message) => {
    const end = await endOf(await launched({ ...rig.shell("true", { image }) }));
    expect(end.phase).toBe("Gone");
    expect(end.message).toMatch(message);
  });

  test("a pod that another user deletes", async () => {
    const run = await launched(rig.shell("trap 'exit 143' TERM; sleep 60 & wait"));
    await eventually(() => lastOf(run)?.phase === "Running");
    await rig.kubectl("delete", "pod", podNameOf(run.id, 0), "--wait=false", "--grace-period=3");
    expect(await endOf(run)).toMatchObject({
      phase: "Exited",
      exitCode: 143,
      message: `The pod '${podNameOf(run.id, 0)}' was deleted`,
    });
  });

  test("a pod that is evicted through the API", async () => {
    const run = await launched(rig.shell("trap 'exit 143' TERM; sleep 60 & wait"));
    await eventually(() => lastOf(run)?.phase === "Running");
    const name = podNameOf(run.id, 0);
    const eviction = {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { name, namespace: rig.settings.namespace },
    };
    await rig.post(`/api/v1/namespaces/${rig.settings.namespace}/pods/${name}/eviction`, eviction);
    const end = await endOf(run);
    expect(end).toMatchObject({ phase: "Exited", exitCode: 143 });
    expect(end.message).toMatch(/^EvictionByEvictionAPI: /);
  });

  test("a pod whose finalizer another program takes off is gone", async () => {
    const run = await launched(rig.shell("sleep 60"));
    await eventually(() => lastOf(run)?.phase === "Running");
    const pod = podNameOf(run.id, 0);
    await rig.kubectl("patch", "pod", pod, "--type=merge", "--patch", '{"metadata":{"finalizers":null}}');
    await rig.kubectl("delete", "pod", pod, "--force", "--grace-period=0", "--wait=false");
    const end = await endOf(run);
    expect(end).toMatchObject({
      phase: "Gone",
      message: "The pod disappeared from the cluster; its exit code is unknown",
    });
  });

  test("the pod's own deadline, when none of us ends the run", async () => {
    const past = new Date(Date.now() - 898_000).toISOString();
    const end = await endOf(await launched({ ...rig.shell("trap 'exit 143' TERM; sleep 60 & wait"), createdAt: past }));
    expect(end.message).toMatch(/^DeadlineExceeded: /);
  });

  test("dates are in order, and not before the creation of the run", async () => {
    const run = await launched({ ...rig.shell("true"), createdAt: new Date().toISOString() });
    const { startedAt = "", finishedAt = "" } = await endOf(run);
    expect(Date.parse(run.createdAt)).toBeLessThanOrEqual(Date.parse(startedAt));
    expect(startedAt <= finishedAt).toBe(true);
  });
}

if (why === "")
  describe("pods", () => {
    describePods();
  });
