import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { storedBlobs } from "../../buffers/format/stored-blobs.ts";
import { readBuffer } from "../../buffers/format/reader.ts";
import { writeBuffer } from "../../buffers/format/writer.ts";
import { jobPodOf } from "../../k8s/spec/job-pod.ts";
import { podNameOf } from "../../k8s/spec/names.ts";
import { isSettled, type ReplicaState } from "../../model/run/lifecycle.ts";
import { indexesOf } from "../../model/run/replicas.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { eventually } from "../eventually.ts";
import { hasFinalBlob } from "../pump/world.ts";
import { openKubeRig, type KubeRig } from "./rig.ts";

const why = inject("whyNoCluster");
const LONG = { withinMs: 60_000 };

test("there is a cluster", ({ skip }) => {
  skip(why !== "", why);
  expect(inject("kubeconfig")).not.toBe("");
});

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function describeBuffers(): void {
  let rig: KubeRig;
  const heard = new Map<string, ReplicaState>();
  const stop = new AbortController();
  let watching: Promise<void>;
  beforeAll(async () => {
    rig = await openKubeRig();
    watching = rig.watcher.watch(async ({ id }, { index, state }) => {
      heard.set(`${id}/${index}`, state);
    }, stop.signal);
  });
  afterAll(async () => {
    stop.abort();
    await watching;
    await rig.close();
  });

  const launched = async (run: RunRecord): Promise<RunRecord> => {
    await rig.writer.provision(run);
    for (const replica of indexesOf(run.replicaCount)) await rig.writer.launch(run, replica);
    return run;
  };
  const stateOf = ({ id }: RunRecord, replica = 0): ReplicaState | undefined => heard.get(`${id}/${replica}`);
  const settled = (run: RunRecord, replica = 0): Promise<ReplicaState> =>
    eventually(() => {
      const state = stateOf(run, replica);
      return state && isSettled(state) ? state : undefined;
    }, LONG);
  const blobsOf = (run: RunRecord, parameter: string) =>
    storedBlobs(rig.server.store, run.job.buffers?.[parameter] ?? "");
  const write = (run: RunRecord, parameter: string, bytes: Uint8Array) =>
    writeBuffer(Readable.from([bytes]), blobsOf(run, parameter));
  const read = async (run: RunRecord, parameter: string): Promise<Buffer> => {
    const pieces: Uint8Array[] = [];
    for await (const piece of readBuffer(blobsOf(run, parameter))) pieces.push(piece);
    return Buffer.concat(pieces);
  };
  const hasBlob = async (run: RunRecord, parameter: string): Promise<boolean> =>
    (await rig.server.store.list(run.job.buffers?.[parameter] ?? "", { limit: 10 })).paths.includes("00/000");

  const success = { container: { phase: "Exited", exitCode: 0 }, pump: { phase: "Succeeded" } };
  const copy = 'cat "$IN_PIPE" > "$OUT_PIPE"';
  const both = { buffers: { inputs: ["in"], outputs: ["out"] } };

  test("100 MB go through a job unchanged", async () => {
    const run = rig.shell(copy, both);
    const bytes = randomBytes(100_000_000);
    await Promise.all([launched(run), write(run, "in", bytes)]);
    expect(await settled(run)).toMatchObject(success);
    expect(sha256(await read(run, "out"))).toBe(sha256(bytes));
  });

  test("a job that never opens its pipes succeeds, and its output is empty", async () => {
    const run = rig.shell("true", both);
    await launched(run);
    expect(await settled(run)).toMatchObject(success);
    expect(await read(run, "out")).toEqual(Buffer.alloc(0));
  });

  test("a job that fails leaves a complete output with what it wrote", async () => {
    const run = await launched(rig.shell('echo part > "$OUT_PIPE"; exit 3', { buffers: { outputs: ["out"] } }));
    expect(await settled(run)).toMatchObject({ container: { exitCode: 3 }, pump: { phase: "Succeeded" } });
    expect((await read(run, "out")).toString()).toBe("part\n");
  });

  test("two inputs that are read at the same time", async () => {
    const script = 'exec 3< "$A_PIPE" 4< "$B-C_PIPE"'.replace("$B-C_PIPE", "/etc/buffer-fifos/b-c");
    const run = rig.shell(`${script}; paste -d: /dev/fd/3 /dev/fd/4 > "$OUT_PIPE"; env | grep ^B-C`, {
      buffers: { inputs: ["a", "b-c"], outputs: ["out"] },
    });
    await Promise.all([
      launched(run),
      write(run, "a", Buffer.from("1\n2\n")),
      write(run, "b-c", Buffer.from("one\ntwo\n")),
    ]);
    expect(await settled(run)).toMatchObject(success);
    expect((await read(run, "out")).toString()).toBe("1:one\n2:two\n");
  });

  test("each replica reads all of one input", async () => {
    const run = { ...rig.shell('[ "$(cat "$IN_PIPE" | wc -c)" = 5000000 ]', { buffers: { inputs: ["in"] } }) };
    const several = { ...run, replicaCount: 3 };
    await Promise.all([launched(several), write(run, "in", randomBytes(5_000_000))]);
    for (const replica of [0, 1, 2]) expect(await settled(several, replica)).toMatchObject(success);
  });

  test("the reader of an output that the job has ended does not wait for the job", async () => {
    const run = await launched(rig.shell('echo all > "$OUT_PIPE"; sleep 600', { buffers: { outputs: ["out"] } }));
    expect((await read(run, "out")).toString()).toBe("all\n");
    expect(stateOf(run)).toMatchObject({ container: { phase: "Running" }, pump: { phase: "Running" } });
    await rig.writer.stop(run, 0);
  });

  test("a job that runs out of memory in the middle of its output leaves it failed, without an end", async () => {
    const run = rig.shell('exec 3> "$OUT_PIPE"; echo part >&3; sleep 2; a=$(head -c 200m /dev/zero | tr "\\0" x)', {
      buffers: { outputs: ["out"] },
      resources: { limits: { memory: "32Mi" } },
    });
    await launched(run);
    await expect(read(run, "out")).rejects.toThrow("the buffer is in a permanently failed state");
    const cut = {
      phase: "Failed",
      cutOff: true,
      message: expect.stringMatching(/^Sidecar exited with code 1: .*cut off/),
    };
    expect(await settled(run)).toMatchObject({ container: { exitCode: 137, cutOff: true }, pump: cut });
    expect(await hasFinalBlob(rig.server.store, run.job.buffers?.["out"] ?? "")).toBe(false);
  });

  test("a run that is stopped in the middle of a transfer leaves its output failed", async () => {
    const run = await launched(rig.shell('exec 3> "$OUT_PIPE"; echo part >&3; cat "$IN_PIPE"', both));
    await eventually(() => hasBlob(run, "out"), LONG);
    const reading = read(run, "out");
    reading.catch(() => undefined);
    const state = await rig.writer.stop(run, 0);
    expect(state).toMatchObject({ container: { phase: "Exited" }, pump: { phase: "Failed", cutOff: true } });
    await expect(reading).rejects.toThrow("the buffer is in a permanently failed state");
    await rig.writer.remove(run);
    expect(await rig.kube.findPod(podNameOf(run.id, 0))).toBeUndefined();
  });

  test("a job that ends with a success because its pod is deleted leaves its output failed", async () => {
    const script = 'trap "exit 0" TERM; exec 3> "$OUT_PIPE"; echo part >&3; sleep 600 & wait';
    const run = await launched(rig.shell(script, { buffers: { outputs: ["out"] } }));
    await eventually(() => hasBlob(run, "out"), LONG);
    await rig.kubectl("delete", "pod", podNameOf(run.id, 0), "--wait=false", "--grace-period=5");
    expect(await settled(run)).toMatchObject({ container: { exitCode: 0 }, pump: { phase: "Failed", cutOff: true } });
    await expect(read(run, "out")).rejects.toThrow("the buffer is in a permanently failed state");
  });

  test("the job sees no token, no program and no instructions of its pump, and no process of it", async () => {
    const lines = [
      'exec > "$OUT_PIPE" 2>&1',
      "ls /etc/tyger-pump",
      "ls /var/run/secrets/kubernetes.io",
      "find /etc /tmp /var -type f | xargs grep -l pumps/",
      "ls /etc/buffer-fifos",
      "cat /proc/[0-9]*/comm | grep -cx node",
      "env | grep -ci token",
      'stat -c %a:%F "$OUT_PIPE"',
    ];
    const run = await launched(rig.shell(lines.join("\n"), { buffers: { outputs: ["out"] } }));
    expect(await settled(run)).toMatchObject(success);
    const seen = (await read(run, "out")).toString();
    expect(seen).toMatch(/tyger-pump.*No such file/);
    expect(seen).toMatch(/kubernetes\.io.*No such file/);
    expect(seen.split("\n").slice(2)).toEqual(["out", "0", "0", "666:fifo", ""]);
  });

  test("the containers beside the job satisfy the strictest policy of a cluster", async () => {
    const run = rig.shell("true", both);
    const pump = { ...rig.settings.pump, program: rig.program.name };
    const { metadata, spec, ...pod } = jobPodOf(run, 0, { ...rig.settings, pump }, Date.now());
    const containers = spec?.containers.filter(({ name }) => name !== "main") ?? [];
    expect([...containers, ...(spec?.initContainers ?? [])].map(({ name }) => name)).toEqual(["pump", "pipes"]);
    const restricted = `${rig.settings.namespace}-restricted`;
    await rig.kubectl("create", "namespace", restricted);
    try {
      await rig.kubectl("label", "namespace", restricted, "pod-security.kubernetes.io/enforce=restricted");
      const without = { ...pod, metadata: { ...metadata, namespace: restricted }, spec: { ...spec, containers } };
      const path = `/api/v1/namespaces/${restricted}/pods?dryRun=All`;
      await rig.post(path, without);
      // The policy is really enforced: the container of the job is refused there.
      await expect(rig.post(path, { ...without, spec })).rejects.toThrow(/violates PodSecurity "restricted/);
    } finally {
      await rig.kubectl("delete", "namespace", restricted, "--wait=false");
    }
  });

  test("a pump that cannot be started ends the job, and the run has its reason", async () => {
    const image = inject("podImage");
    const broken = await openKubeRig({ pump: { image, serverUrl: rig.server.url } });
    try {
      const run = broken.shell('cat "$IN_PIPE"', { buffers: { inputs: ["in"] } });
      await broken.writer.provision(run);
      await broken.writer.launch(run, 0);
      const state = await eventually(async () => {
        const seen = await broken.writer.observe(run, 0);
        return seen.pump?.phase === "Dead" ? seen : undefined;
      }, LONG);
      expect(state.pump?.message).toMatch(/^Sidecar exited with code \d+: .*node/);
      await broken.writer.remove(run);
    } finally {
      await broken.close();
    }
  });

  test("a second worker that provisions the run does not shut out its pump", async () => {
    const run = rig.shell(copy, both);
    await Promise.all([rig.writer.provision(run), rig.anotherWriter().provision(run)]);
    await rig.writer.launch(run, 0);
    await rig.anotherWriter().provision(run);
    await write(run, "in", Buffer.from("through"));
    expect(await settled(run)).toMatchObject(success);
    expect((await read(run, "out")).toString()).toBe("through");
  });
}

if (why === "")
  describe("buffers of pods", () => {
    describeBuffers();
  });
