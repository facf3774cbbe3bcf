import { createHash, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { JobCodespec } from "../../../model/codespec/codespec.ts";
import { pidOf } from "../../e2e/stack.ts";
import { eventually } from "../../eventually.ts";
import { kubectl, PATIENT, startKubeStack, type KubeStack } from "./kube-stack.ts";

const why = inject("whyNoCluster");
const FAILED_STATE = "the buffer is in a permanently failed state";

test("there is a cluster", ({ skip }) => {
  skip(why !== "", why);
  expect(inject("kubeconfig")).not.toBe("");
});

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** Runs of a whole stack whose data passes through pods of the real cluster. */
function describeBuffers(): void {
  let kube: KubeStack;
  beforeAll(async () => {
    // Nothing here may wait until a pod that is not ended counts as lost.
    kube = await startKubeStack([{ name: "near", durations: { lostPodSeconds: 3600 } }]);
  });
  afterAll(() => kube?.close());

  const bash = (script: string, buffers: JobCodespec["buffers"] = {}): Partial<JobCodespec> => ({
    command: ["bash", "-c", script],
    buffers,
  });
  const both = { inputs: ["input"], outputs: ["output"] };
  const bufferOf = async (id: string, parameter: string): Promise<string> =>
    (await kube.show(id)).job.buffers[parameter] ?? "";
  const write = async (id: string, parameter: string, input: string | Buffer) =>
    expect(
      await kube.stack.tyger(["buffer", "write", await bufferOf(id, parameter)], { input, limitMs: 90_000 }),
    ).toMatchObject({ code: 0 });
  const read = async (id: string, parameter: string) =>
    kube.stack.tyger(["buffer", "read", await bufferOf(id, parameter)], { limitMs: 90_000 });
  const started = (id: string) => eventually(async () => (await kube.logOf(id)).includes("[main] begun\n"), PATIENT);

  test("echo Paul through examples/hello.yml gives Hello Paul and nothing else on stdout", async () => {
    const { code, stdout, stderr } = await kube.stack.tyger(["run", "exec", "-f", "examples/hello.yml"], {
      input: "Paul\n",
      limitMs: 90_000,
    });
    expect(stderr).toMatch(/Run created.*runId=\d+/);
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 0, stdout: "Hello Paul\n" });
  });

  test("100 MB come back whole, and nothing of the run is left", async () => {
    const file = await kube.fileOf(bash('cat "$INPUT_PIPE" > "$OUTPUT_PIPE"', both));
    const input = randomBytes(100_000_000);
    const { code, stdout, stderr } = await kube.stack.tyger(["run", "exec", "-f", file], { input, limitMs: 120_000 });
    expect({ code, sha256: sha256(stdout) }).toEqual({ code: 0, sha256: sha256(input) });
    await kube.removed(/runId=(\d+)/.exec(stderr)?.[1] ?? "");
  });

  test("the log has the lines of the job under its name", async () => {
    const id = await kube.create(bash('echo begun; cat "$INPUT_PIPE" > "$OUTPUT_PIPE"; echo done >&2', both));
    await write(id, "input", "some bytes");
    expect(await kube.ended(id)).toMatchObject({ status: "Succeeded" });
    expect((await read(id, "output")).stdout.toString()).toBe("some bytes");
    await kube.removed(id);
    const ofMain = (await kube.logOf(id)).split("\n").filter((line) => line.startsWith("[main] "));
    expect(ofMain).toEqual(["[main] begun", "[main] done"]);
  });

  test("a job with two inputs reads both", async () => {
    const inputs = { inputs: ["left", "right"], outputs: ["output"] };
    const id = await kube.create(bash('cat "$LEFT_PIPE" "$RIGHT_PIPE" > "$OUTPUT_PIPE"', inputs));
    await write(id, "right", "second");
    await write(id, "left", "first ");
    expect(await kube.ended(id)).toMatchObject({ status: "Succeeded" });
    expect((await read(id, "output")).stdout.toString()).toBe("first second");
  });

  test("each of three replicas reads all of one input", async () => {
    const script = 'echo "$(wc -c < "$INPUT_PIPE") bytes"';
    const id = await kube.create(bash(script, { inputs: ["input"] }), ["-r", "3"]);
    await write(id, "input", randomBytes(5_000_000));
    expect(await kube.ended(id)).toMatchObject({ status: "Succeeded" });
    await kube.removed(id);
    const lines = (await kube.logOf(id)).split("\n").filter((line) => line.endsWith(" bytes"));
    expect(lines.toSorted()).toEqual([0, 1, 2].map((replica) => `[job-${replica}][main] 5000000 bytes`));
  });

  test("a job that runs out of memory in the middle of its output fails its reader, and has the reason", async () => {
    const script = 'exec 3> "$OUTPUT_PIPE"; echo part >&3; sleep 2; a=$(head -c 200m /dev/zero | tr "\\0" x)';
    const limits = { memory: "32Mi" };
    const id = await kube.create({ ...bash(script, { outputs: ["output"] }), resources: { limits } });
    expect(await read(id, "output")).toMatchObject({ code: 1, stderr: expect.stringContaining(FAILED_STATE) });
    expect(await kube.ended(id)).toMatchObject({
      status: "Failed",
      statusReason: "Main exited with code 137: The container ran out of memory (OOMKilled)",
    });
  });

  test("a pod that is deleted in the middle of its output ends at once, whatever grace it has", async () => {
    const script = 'trap "exit 0" TERM; exec 3> "$OUTPUT_PIPE"; echo part >&3; echo begun; sleep 600 & wait';
    const id = await kube.create(bash(script, { outputs: ["output"] }));
    await started(id);
    const reading = read(id, "output");
    const pod = `run-${id}-job-0`;
    await kubectl("-n", `tyger-${kube.installation}`, "delete", "pod", pod, "--wait=false", "--grace-period=600");
    expect(await reading).toMatchObject({ code: 1, stderr: expect.stringContaining(FAILED_STATE) });
    const reason = "Sidecar exited with code 1: The pod is being ended (SIGTERM)";
    expect(await kube.ended(id)).toMatchObject({ status: "Failed", statusReason: reason });
    await kube.removed(id);
  });

  test("a run that is canceled in the middle of a transfer is Canceled, and its reader fails", async () => {
    const script = 'exec 3> "$OUTPUT_PIPE"; echo part >&3; echo begun; cat "$INPUT_PIPE"';
    const id = await kube.create(bash(script, both));
    await started(id);
    const reading = read(id, "output");
    expect((await kube.stack.tyger(["run", "cancel", id])).code).toBe(0);
    expect(await reading).toMatchObject({ code: 1, stderr: expect.stringContaining(FAILED_STATE) });
    expect(await kube.ended(id)).toMatchObject({ status: "Canceled", statusReason: "Canceled by user" });
    await kube.removed(id);
  });

  test("an input that its writer gives up fails the run, in the words for helper containers", async () => {
    const id = await kube.create(bash('echo begun; cat "$INPUT_PIPE"', { inputs: ["input"] }));
    await started(id);
    const buffer = await bufferOf(id, "input");
    const line = `(echo part; sleep 2; exit 1) | timeout --signal=INT 1 tyger buffer write ${buffer} --flush-interval 100ms`;
    await kube.stack.shell(line, { limitMs: 60_000 });
    const run = await kube.ended(id);
    expect(run).toMatchObject({
      status: "Failed",
      statusReason: expect.stringMatching(/^Sidecar exited with code 1: The input 'input' failed: .*failed state/),
    });
  });

  test("the API and the worker are killed in the middle of a transfer, which continues", async () => {
    const script = 'exec 3< "$INPUT_PIPE"; head -c 1000000 <&3 > /tmp/a; echo begun; cat /tmp/a - <&3 > "$OUTPUT_PIPE"';
    const id = await kube.create(bash(script, both));
    const input = randomBytes(30_000_000);
    const home = kube.stack.env["HOME"] ?? "";
    await writeFile(join(home, "first"), input.subarray(0, 1_000_000));
    await writeFile(join(home, "rest"), input.subarray(1_000_000));
    const bytes = "cat $HOME/first; until [ -e $HOME/go ]; do sleep 0.1; done; cat $HOME/rest";
    const writing = kube.stack.shell(`(${bytes}) | tyger buffer write ${await bufferOf(id, "input")}`, {
      limitMs: 120_000,
    });
    writing.catch(() => undefined);
    // Only now do the command and the pump have what they need to outlive the API.
    await started(id);
    for (const name of ["api", "worker"]) process.kill(await pidOf(kube.stack, name), "SIGKILL");
    await writeFile(join(home, "go"), "");
    expect(await writing).toMatchObject({ code: 0 });
    const { code, stdout } = await read(id, "output");
    expect({ code, sha256: sha256(stdout) }).toEqual({ code: 0, sha256: sha256(input) });
    expect(await kube.ended(id)).toMatchObject({ status: "Succeeded" });
  });
}

if (why === "")
  describe("buffers of a stack on Kubernetes", () => {
    describeBuffers();
  });
