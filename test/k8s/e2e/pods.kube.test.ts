import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { eventually } from "../../eventually.ts";
import { pidOf } from "../../e2e/stack.ts";
import { kubectl, PATIENT, startCounter, startKubeStack, type Counter, type KubeStack } from "./kube-stack.ts";

const why = inject("whyNoCluster");

test("there is a cluster", ({ skip }) => {
  skip(why !== "", why);
  expect(inject("kubeconfig")).not.toBe("");
});

/** Runs of a whole stack, whose jobs are pods of the real cluster. */
function describeRuns(): void {
  let kube: KubeStack;
  let counter: Counter;
  let namespace: string;
  beforeAll(async () => {
    counter = await startCounter();
    kube = await startKubeStack();
    namespace = `tyger-${kube.installation}`;
  });
  afterAll(async () => {
    await kube?.close();
    await counter?.close();
  });

  const running = (id: string) => eventually(async () => (await kube.show(id)).status === "Running", PATIENT);
  const waitingFor = (id: string, reason: RegExp) =>
    eventually(async () => {
      const { status, statusReason = "" } = await kube.show(id);
      return status === "Pending" && reason.test(statusReason) && statusReason;
    }, PATIENT);

  test("a job succeeds, is Running meanwhile, and leaves its log and nothing else", async () => {
    const id = await kube.shell(`${counter.script}; echo hello; sleep 3; echo done`);
    await running(id);
    expect(await kube.show(id)).toMatchObject({ cluster: "near", startedAt: expect.any(String) });
    expect(await kube.logOf(id)).toBe("hello\n");
    expect(await kube.ended(id)).toMatchObject({ status: "Succeeded" });
    await kube.removed(id);
    expect(await kube.logOf(id)).toBe("hello\ndone\n");
    expect(counter.begins(id)).toBe(1);
    const list = JSON.parse((await kube.stack.tyger(["run", "list"])).stdout.toString());
    expect(list).toContainEqual(expect.objectContaining({ id: Number(id), status: "Succeeded", cluster: "near" }));
  });

  test("the namespace was created with Pod Security enforced, and claimed", async () => {
    const labels = await kubectl("get", "namespace", namespace, "-o", "jsonpath={.metadata.labels}");
    expect(JSON.parse(labels)).toMatchObject({ "pod-security.kubernetes.io/enforce": "baseline" });
    const claim = ["-n", namespace, "get", "configmap", "tyger-installation", "-o", "jsonpath={.data.installation}"];
    expect(await kubectl(...claim)).toBe(`${kube.installation}-near`);
  });

  test("a job that fails has its exit code", async () => {
    const run = await kube.ended(await kube.shell("exit 3"));
    expect(run).toMatchObject({ status: "Failed", statusReason: "Main exited with code 3" });
  });

  test("exec shows the log and the reason of a failure", async () => {
    const { code, stderr } = await kube.exec({ command: ["bash", "-c", "echo out; exit 4"] }, ["--logs"]);
    expect(code).toBe(1);
    expect(stderr).toContain("out\n");
    expect(stderr).toContain("run failed with status Failed (Main exited with code 4)");
  });

  test("watch prints each state to the end", async () => {
    const id = await kube.shell("sleep 2");
    const { stdout } = await kube.stack.tyger(["run", "watch", id], { limitMs: 90_000 });
    const statuses = stdout
      .toString()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).status);
    expect([...new Set(statuses)]).toEqual(["Pending", "Running", "Succeeded"]);
  });

  test("a canceled run is Canceled, and its pod is gone", async () => {
    const id = await kube.shell("trap '' TERM; echo begun; while true; do sleep 1; done");
    await running(id);
    expect((await kube.stack.tyger(["run", "cancel", id])).code).toBe(0);
    expect(await kube.ended(id)).toMatchObject({ status: "Canceled", statusReason: "Canceled by user" });
    await kube.removed(id);
    expect(await kube.logOf(id)).toBe("begun\n");
  });

  test("a run that is canceled while its pod waits for a node never executes", async () => {
    const id = await kube.create({ command: ["bash", "-c", counter.script], resources: { requests: { cpu: "1000" } } });
    await waitingFor(id, /Insufficient cpu/);
    await kube.stack.tyger(["run", "cancel", id]);
    expect(await kube.ended(id)).toMatchObject({ status: "Canceled", statusReason: "Canceled by user" });
    await kube.removed(id);
    expect(counter.begins(id)).toBe(0);
  });

  test("a run that exceeds its timeout fails", async () => {
    const run = await kube.ended(await kube.shell("sleep 600", ["--timeout", "8s"]));
    expect(run).toMatchObject({ status: "Failed", statusReason: expect.stringContaining("timeout") });
  });

  test("a pod that fits on no node says why, and is canceled at its timeout with the reason", async () => {
    const requests = { cpu: "1000" };
    const id = await kube.create({ command: ["true"], resources: { requests } }, ["--timeout", "15s"]);
    const reason = await waitingFor(id, /^Unschedulable: .*Insufficient cpu/);
    const run = await kube.ended(id);
    expect(run).toMatchObject({
      status: "Canceled",
      statusReason: `The timeout passed while the run was pending: ${reason}`,
    });
    await kube.removed(id);
  });

  test("an image that does not exist fails the run with the words of the runtime", async () => {
    const image = "localhost:1/no/such:1";
    const id = await kube.create({ image, command: ["true"] });
    await waitingFor(id, /connection refused/);
    const { status, statusReason = "" } = await kube.ended(id);
    expect(status).toBe("Failed");
    expect(statusReason).toMatch(
      /^The image 'localhost:1\/no\/such:1' cannot be pulled: ErrImagePull: .*connection refused/,
    );
  });

  test("exec reports why its pod waits", async () => {
    const { code, stderr } = await kube.exec({ image: "localhost:1/no/such:2", command: ["true"] });
    expect(code).toBe(1);
    expect(stderr).toMatch(/INF Run is waiting to begin reason=".*connection refused/);
  });

  test("a job that runs out of memory fails with that reason", async () => {
    const limits = { memory: "32Mi" };
    const script = "a=$(head -c 200m /dev/zero | tr '\\0' x); echo ${#a}";
    const run = await kube.ended(await kube.create({ command: ["bash", "-c", script], resources: { limits } }));
    expect(run).toMatchObject({
      status: "Failed",
      statusReason: "Main exited with code 137: The container ran out of memory (OOMKilled)",
    });
  });

  test("a pod that another user deletes in mid-run fails the run, which is not repeated", async () => {
    const id = await kube.shell(`${counter.script}; trap 'exit 143' TERM; sleep 600 & wait`);
    await running(id);
    await kubectl("-n", namespace, "delete", "pod", `run-${id}-job-0`, "--wait=false", "--grace-period=3");
    expect(await kube.ended(id)).toMatchObject({
      status: "Failed",
      statusReason: `Main exited with code 143: The pod 'run-${id}-job-0' was deleted`,
    });
    await kube.removed(id);
    expect(counter.begins(id)).toBe(1);
  });

  test("three replicas run as three pods, are counted, and have one log", async () => {
    const id = await kube.shell(`${counter.script}; echo "I am \${HOSTNAME##*-}"; sleep 5`, ["-r", "3"]);
    await eventually(async () => (await kube.show(id))["runningCount"] === 3, PATIENT);
    expect(await kube.ended(id)).toMatchObject({ status: "Succeeded" });
    await kube.removed(id);
    const lines = (await kube.logOf(id)).split("\n").filter(Boolean).toSorted();
    expect(lines).toEqual(["[job-0] I am 0", "[job-1] I am 1", "[job-2] I am 2"]);
    expect(counter.begins(id)).toBe(3);
  });

  test("the first replica that fails ends the run", async () => {
    const script = '[ "${HOSTNAME##*-}" = 1 ] && exit 3; trap "exit 143" TERM; sleep 600 & wait';
    const run = await kube.ended(await kube.shell(script, ["-r", "3"]));
    expect(run).toMatchObject({ status: "Failed", statusReason: "Main exited with code 3 (replica 1)" });
  });

  test("kill -9 of the worker in mid-run: the job ran once, and the run succeeds", async () => {
    const id = await kube.shell(`${counter.script}; echo begun; sleep 15; echo done`);
    await running(id);
    process.kill(await pidOf(kube.stack, "worker"), "SIGKILL");
    expect(await kube.ended(id)).toMatchObject({ status: "Succeeded" });
    await kube.removed(id);
    expect(await kube.logOf(id)).toBe("begun\ndone\n");
    expect(counter.begins(id)).toBe(1);
  });

  test("kill -9 of the worker while it launches: each replica ran once", async () => {
    const id = await kube.shell(`${counter.script}; sleep 2`, ["-r", "8"]);
    const pods = ["-n", namespace, "get", "pods", "-l", `tyger-run=${id}`, "-o", "name"];
    await eventually(async () => (await kubectl(...pods)).trim() !== "", { withinMs: 30_000 });
    process.kill(await pidOf(kube.stack, "worker"), "SIGKILL");
    expect(await kube.ended(id)).toMatchObject({ status: "Succeeded" });
    await kube.removed(id);
    expect(counter.begins(id)).toBe(8);
  });

  test("fifty runs at once succeed, each once", { timeout: 300_000 }, async () => {
    const ids = await Promise.all(Array.from({ length: 50 }, () => kube.shell(`${counter.script}; echo done`)));
    for (const id of ids) {
      const run = await eventually(
        async () => {
          const shown = await kube.show(id);
          return shown.status === "Pending" || shown.status === "Running" ? undefined : shown;
        },
        { withinMs: 280_000, everyMs: 500 },
      );
      expect(run).toMatchObject({ status: "Succeeded" });
    }
    expect(ids.map((id) => counter.begins(id))).toEqual(ids.map(() => 1));
  });

  test.each([
    [["--cluster", "far"], "Unknown cluster 'far'; this server has 'near'"],
    [["--node-pool", "big"], "Unknown nodepool 'big'; the cluster has no node pools"],
  ])("%j is refused", async (flags, message) => {
    await expect(kube.shell("true", flags)).rejects.toThrow(message);
  });

  test("a job sees no token of the cluster", async () => {
    const id = await kube.shell("ls /var/run/secrets/kubernetes.io 2>&1 | wc -l; env | grep -c KUBERNETES || true");
    await kube.ended(id);
    await kube.removed(id);
    expect(await kube.logOf(id)).toMatch(/^1\n/);
  });
}

if (why === "")
  describe("runs on Kubernetes", () => {
    describeRuns();
  });
