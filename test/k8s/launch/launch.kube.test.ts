import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Kube } from "../../../k8s/client/kube.ts";
import { createNamespaceClaim } from "../../../k8s/launch/claim.ts";
import { createKubeWriter } from "../../../k8s/launch/writer.ts";
import { FINALIZER, jobSecretNameOf, podNameOf } from "../../../k8s/spec/names.ts";
import type { RunRecord } from "../../../model/run/run.ts";
import { eventually } from "../../eventually.ts";
import { openKubeRig, type KubeRig } from "../rig.ts";

const why = inject("whyNoCluster");

test("there is a cluster", ({ skip }) => {
  skip(why !== "", why);
  expect(inject("kubeconfig")).not.toBe("");
});

/** The pod of a run as the cluster has it. */
const podOf = (rig: KubeRig, run: RunRecord) => rig.kube.findPod(podNameOf(run.id, 0));

function describeLaunch(): void {
  let rig: KubeRig;
  beforeAll(async () => {
    rig = await openKubeRig();
  });
  afterAll(() => rig.close());

  /** A worker that is suspended before, or after, a call to the cluster, until `resume`. */
  function suspended(call: "createPod" | "createSecret", when: "before" | "after") {
    const reached = Promise.withResolvers<void>();
    const resumed = Promise.withResolvers<void>();
    const pause = async (): Promise<void> => {
      reached.resolve();
      await resumed.promise;
    };
    const paused = async <T>(work: () => Promise<T>): Promise<T> => {
      if (when === "before") await pause();
      const result = await work();
      if (when === "after") await pause();
      return result;
    };
    const kube: Kube = {
      ...rig.kube,
      createPod: (pod) => (call === "createPod" ? paused(() => rig.kube.createPod(pod)) : rig.kube.createPod(pod)),
      createSecret: (secret) =>
        call === "createSecret" ? paused(() => rig.kube.createSecret(secret)) : rig.kube.createSecret(secret),
    };
    return {
      writer: createKubeWriter({ ...rig.ports, kube }),
      reached: reached.promise,
      resume: () => resumed.resolve(),
    };
  }

  describe("a worker that is suspended", () => {
    test("before it creates a pod does nothing after another one has launched the run", async () => {
      const run = rig.shell("true");
      await rig.writer.provision(run);
      const late = suspended("createPod", "before");
      const launching = late.writer.launch(run, 0);
      await late.reached;
      await rig.writer.launch(run, 0);
      await eventually(async () => (await rig.writer.observe(run, 0)).container.phase === "Exited");
      late.resume();
      expect((await launching).container).toMatchObject({ phase: "Exited", exitCode: 0 });
      expect(await rig.begins(run)).toBe(1);
    });

    test("before it creates a pod makes none that executes once the run was stopped", async () => {
      const run = rig.shell("echo executed; sleep 60");
      await rig.writer.provision(run);
      const late = suspended("createPod", "before");
      const launching = late.writer.launch(run, 0);
      await late.reached;
      expect((await rig.writer.stop(run, 0)).container.phase).toBe("Gone");
      late.resume();
      expect((await launching).container.phase).toBe("Gone");
      await rig.writer.remove(run);
      expect(await podOf(rig, run)).toBeUndefined();
      expect(await rig.begins(run)).toBe(0);
    });

    test("before it creates a pod leaves none behind once the run was removed", async () => {
      const run = rig.shell("echo executed; sleep 60");
      await rig.writer.provision(run);
      const late = suspended("createPod", "before");
      const launching = late.writer.launch(run, 0);
      await late.reached;
      await rig.writer.remove(run);
      late.resume();
      expect((await launching).container.phase).toBe("Gone");
      await eventually(async () => (await podOf(rig, run)) === undefined);
      expect(await rig.begins(run)).toBe(0);
    });

    test("after it created a pod, and is replaced, has launched the run", async () => {
      const run = rig.shell("exit 4");
      await rig.writer.provision(run);
      const dead = suspended("createPod", "after");
      const launching = dead.writer.launch(run, 0);
      await dead.reached;
      await rig.anotherWriter().launch(run, 0);
      await eventually(async () => (await rig.writer.observe(run, 0)).container.exitCode === 4);
      dead.resume();
      // It answers with the pod as it created it; what is known of the replica by then is later, and counts.
      expect((await launching).container.phase).toBe("Created");
      expect((await rig.writer.observe(run, 0)).container.exitCode).toBe(4);
      expect(await rig.begins(run)).toBe(1);
    });

    test("before it creates the Secret opens no fence of a removed run", async () => {
      const run = rig.shell("echo executed");
      const late = suspended("createSecret", "before");
      const provisioning = late.writer.provision(run);
      await late.reached;
      await rig.writer.remove(run);
      late.resume();
      await provisioning;
      expect(await rig.kube.findSecret(jobSecretNameOf(run.id))).toBeUndefined();
    });
  });

  test("a pod that is created although its fence is closed never executes", async () => {
    const run = rig.shell("echo executed");
    await rig.writer.launch(run, 0);
    const waiting = await eventually(async () => (await rig.writer.observe(run, 0)).container.message);
    expect(waiting).toBe(`main: CreateContainerConfigError: secret "${jobSecretNameOf(run.id)}" not found`);
    expect(await rig.begins(run)).toBe(0);
    await rig.writer.remove(run);
  });

  test("a pod that another program deletes keeps its exit until the run is removed, and is not launched again", async () => {
    const run = rig.shell("trap 'exit 9' TERM; sleep 60 & wait");
    await rig.writer.provision(run);
    await rig.writer.launch(run, 0);
    await eventually(async () => (await rig.writer.observe(run, 0)).container.phase === "Running");
    await rig.kubectl("delete", "pod", podNameOf(run.id, 0), "--wait=false", "--grace-period=5");
    await eventually(async () => (await rig.writer.observe(run, 0)).container.exitCode === 9);
    expect((await rig.writer.launch(run, 0)).container.exitCode).toBe(9);
    expect((await podOf(rig, run))?.metadata?.finalizers).toEqual([FINALIZER]);
    await rig.writer.remove(run);
    expect(await podOf(rig, run)).toBeUndefined();
    expect(await rig.begins(run)).toBe(1);
  });

  test("objects of another run with the number are neither adopted nor removed", async () => {
    const mine = rig.shell("sleep 60");
    const other: RunRecord = { ...mine, uid: "anotherrun" };
    await rig.writer.provision(mine);
    await rig.writer.launch(mine, 0);
    const message = expect.stringContaining(`belongs to another run with the number ${mine.id}`);
    await expect(rig.writer.provision(other)).rejects.toMatchObject({ code: "LaunchFailed", message });
    await rig.writer.remove(other);
    expect(await podOf(rig, mine)).toBeDefined();
    expect(await rig.kube.findSecret(jobSecretNameOf(mine.id))).toBeDefined();
    await rig.writer.remove(mine);
  });

  test("the namespace of another installation gets nothing of ours", async () => {
    const run = rig.shell("true");
    await rig.writer.provision(rig.shell("true"));
    const claimNamespace = createNamespaceClaim({ kube: rig.kube, installationId: "another", isOwn: false });
    const { settings } = rig;
    await expect(createKubeWriter({ ...rig.ports, claimNamespace }).provision(run)).rejects.toMatchObject({
      code: "LaunchFailed",
      message: expect.stringContaining(`belongs to the installation '${settings.installationId}'`),
    });
    expect(await rig.kube.findSecret(jobSecretNameOf(run.id))).toBeUndefined();
  });

  test("a pod that the cluster refuses fails the launch for good, in its words", async () => {
    const run = rig.shell("true", { resources: { requests: { memory: "2Gi" }, limits: { memory: "1Gi" } } });
    await rig.writer.provision(run);
    await expect(rig.writer.launch(run, 0)).rejects.toMatchObject({
      code: "LaunchFailed",
      message: expect.stringContaining("must be less than or equal to memory limit"),
    });
    await rig.writer.remove(run);
  });
}

if (why === "")
  describe("launching on Kubernetes", () => {
    describeLaunch();
  });
