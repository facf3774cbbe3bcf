import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { hasEnded, type ContainerState } from "../../model/run/lifecycle.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { eventually } from "../eventually.ts";
import { killPart, startCluster, type ClusterPart } from "./own-cluster.ts";
import { openKubeRig, type KubeRig } from "./rig.ts";

const state = inject("ownCluster");
const whyNot =
  inject("whyNoCluster") ||
  (state === ""
    ? "the given cluster must stay whole; without TYGER_TEST_KUBECONFIG the tests start one of their own"
    : "");

test("there is a cluster that can be broken", ({ skip }) => {
  skip(whyNot !== "", whyNot);
  expect(state).not.toBe("");
});

/** Parts of a real cluster are killed while jobs run. */
function describeBroken(): void {
  let rig: KubeRig;
  const heard = new Map<number, ContainerState>();
  const stop = new AbortController();
  let watching: Promise<void>;
  beforeAll(async () => {
    rig = await openKubeRig();
    watching = rig.watcher.watch(
      async ({ id }, { state: { container } }) => void heard.set(id, container),
      stop.signal,
    );
  });
  afterAll(async () => {
    stop.abort();
    await watching;
    await rig.close();
  });

  const launched = async (run: RunRecord): Promise<RunRecord> => {
    await rig.writer.provision(run);
    await rig.writer.launch(run, 0);
    await eventually(() => heard.get(run.id)?.phase === "Running", { withinMs: 30_000 });
    return run;
  };

  test.each<[string, ClusterPart[]]>([
    ["the API server", ["kube-apiserver"]],
    ["the API server and its database", ["kube-apiserver", "etcd"]],
    ["the kubelet", ["kubelet"]],
    ["the kubelet and the container runtime", ["kubelet", "containerd"]],
    ["the scheduler and the controllers", ["kube-scheduler", "kube-controller-manager"]],
  ])("kill -9 of %s: the job runs once, and its end is reported", async (_name, parts) => {
    const run = await launched(rig.shell("sleep 4; exit 3"));
    for (const part of parts) await killPart(state, part);
    await startCluster(state, inject("testRunPid"));
    const end = await eventually(
      () => {
        const last = heard.get(run.id);
        return last && hasEnded(last) ? last : undefined;
      },
      { withinMs: 120_000 },
    );
    expect(end).toMatchObject({ phase: "Exited", exitCode: 3 });
    expect(await rig.begins(run)).toBe(1);
  });
}

if (whyNot === "")
  describe("a broken cluster", () => {
    describeBroken();
  });
