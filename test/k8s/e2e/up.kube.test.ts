import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { installationOf, makeStack, showRun, type CommandResult, type TestStack } from "../../e2e/stack.ts";
import { eventually } from "../../eventually.ts";
import { PUMP_IMAGE } from "../pump-image.ts";
import { dropNamespace, kubectl, PATIENT } from "./kube-stack.ts";

const why = inject("whyNoCluster");

test("there is a cluster", ({ skip }) => {
  skip(why !== "", why);
  expect(inject("kubeconfig")).not.toBe("");
});

/** `tyger up --kubeconfig` on a machine without a Docker engine. */
function describeUp(): void {
  let home: string;
  let stack: TestStack;
  let kubeconfig: string;
  let ownNamespace: string | undefined;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "tyger-kube-up-"));
    kubeconfig = inject("kubeconfig");
    stack = await makeStack({ env: { DOCKER_HOST: `unix://${home}/none.sock` } });
  });
  afterAll(async () => {
    // The last test has left it for another one.
    if (ownNamespace !== undefined) await dropNamespace(ownNamespace);
    await stack?.down();
    await rm(home, { recursive: true, force: true });
  });

  const up = (...flags: string[]): Promise<CommandResult> => stack.tyger(["up", ...flags], { limitMs: 180_000 });
  const lastLineOf = ({ stderr }: CommandResult): string => stderr.trimEnd().split("\n").at(-1) ?? "";
  /** A copy of the kubeconfig with changes. */
  const changed = async (name: string, change: (config: { clusters: object[]; users: object[] }) => void) => {
    const config = JSON.parse(await kubectl("config", "view", "--raw", "-o", "json"));
    change(config);
    const file = join(home, name);
    await writeFile(file, JSON.stringify(config));
    return file;
  };
  const create = async (script: string): Promise<string> => {
    const file = join(home, "run.yml");
    const codespec = { kind: "job", image: inject("podImage"), command: ["bash", "-c", script] };
    await writeFile(file, JSON.stringify({ job: { codespec } }));
    const { stdout, stderr } = await stack.tyger(["run", "create", "-f", file]);
    expect(stderr).toBe("");
    return stdout.toString().trim();
  };
  const hasStatus = (id: string, status: string) =>
    eventually(async () => (await showRun(stack, id)).status === status, PATIENT);

  test.each<[string, () => Promise<string[]>, RegExp]>([
    [
      "a file that does not exist",
      async () => ["--kubeconfig", join(home, "none")],
      /^Error: The kubeconfig '.*\/none' cannot be read: there is no such file$/,
    ],
    [
      "a context that does not exist",
      async () => ["--kubeconfig", kubeconfig, "--context", "none"],
      /^Error: The kubeconfig '.*' has no context 'none'; it has '.*'$/,
    ],
    [
      "a namespace that does not exist",
      async () => ["--kubeconfig", kubeconfig, "--namespace", "tyger-none"],
      /^Error: The namespace 'tyger-none' does not exist in the cluster at '.*'; create it with 'kubectl create namespace tyger-none', or name none$/,
    ],
    [
      "a server that cannot be reached",
      async () => {
        const server = "https://127.0.0.1:1";
        const file = await changed("away", ({ clusters }) => {
          for (const each of clusters) Object.assign(each, { cluster: { server } });
        });
        return ["--kubeconfig", file];
      },
      /^Error: The Kubernetes cluster at 'https:\/\/127\.0\.0\.1:1' does not answer: nothing is listening there$/,
    ],
    [
      "credentials that the cluster does not know",
      async () => {
        const file = await changed("stranger", ({ users }) => {
          for (const each of users) Object.assign(each, { user: { token: "wrong" } });
        });
        return ["--kubeconfig", file];
      },
      /^Error: The cluster at '.*' does not accept the credentials of the kubeconfig: /,
    ],
    [
      "a user without permissions",
      async () => {
        const token = (await kubectl("-n", "default", "create", "token", "default")).trim();
        const file = await changed("powerless", ({ users }) => {
          for (const each of users) Object.assign(each, { user: { token } });
        });
        return ["--kubeconfig", file, "--namespace", "default"];
      },
      /^Error: You do not have permission to create pods, get pods, .* in the namespace 'default' of the cluster at '.*'$/,
    ],
  ])("%s is one sentence, and nothing is started", async (_name, flags, message) => {
    const result = await up(...(await flags()));
    expect(result.code).toBe(1);
    expect(lastLineOf(result)).toMatch(message);
    expect((await stack.tyger(["status"])).stdout.toString()).toContain("The stack is down.");
  });

  test("it starts without a Docker engine, with a namespace of its own, and runs a job", async () => {
    expect(await up("--kubeconfig", kubeconfig, "--pump-image", PUMP_IMAGE)).toMatchObject({ code: 0 });
    const installation = await installationOf(stack);
    const namespace = `tyger-${installation}`;
    ownNamespace = namespace;
    const status = (await stack.tyger(["status"])).stdout.toString();
    expect(status).toContain(`Kubernetes    '${kubeconfig}', namespace '${namespace}'\n`);
    expect(status).not.toContain("Docker");
    expect(await kubectl("get", "namespace", namespace, "-o", "name")).toBe(`namespace/${namespace}\n`);
    const id = await create("echo hello");
    await hasStatus(id, "Succeeded");
    expect((await stack.tyger(["run", "logs", id])).stdout.toString()).toBe("hello\n");
  });

  test("data streams through a pod, and the probe of the start is gone", async () => {
    const file = join(home, "hello.yml");
    const command = ["bash", "-c", 'echo "Hello $(cat "$INPUT_PIPE")" > "$OUTPUT_PIPE"'];
    const buffers = { inputs: ["input"], outputs: ["output"] };
    const codespec = { kind: "job", image: inject("podImage"), buffers, command };
    await writeFile(file, JSON.stringify({ job: { codespec } }));
    const exec = await stack.tyger(["run", "exec", "-f", file], { input: "Paul", limitMs: 90_000 });
    expect({ code: exec.code, stdout: exec.stdout.toString() }).toEqual({ code: 0, stdout: "Hello Paul\n" });
    const left = async (): Promise<string> => {
      const [pods, namespaces] = [
        await kubectl("get", "pods", "--all-namespaces", "-l", "tyger-probe", "-o", "name"),
        await kubectl("get", "namespaces", "-o", "name"),
      ];
      return (
        pods +
        namespaces
          .split("\n")
          .filter((name) => name.includes("tyger-probe"))
          .join()
      );
    };
    await eventually(async () => (await left()) === "", PATIENT);
  });

  test("an image that the cluster cannot pull is named, with the ways to load it", async () => {
    const result = await up("--kubeconfig", kubeconfig, "--pump-image", "localhost:1/no/node:1");
    expect(result.code).toBe(1);
    expect(lastLineOf(result)).toMatch(
      /^Error: The image 'localhost:1\/no\/node:1', which moves data in pods, cannot be used: .*connection refused.*; load it into the cluster with 'kind load docker-image localhost:1\/no\/node:1', .*, or name another one with --pump-image$/,
    );
    expect((await up()).stderr).toContain("the stack is already up");
  });

  test("an image without the programs of a pump is named", async () => {
    const result = await up("--kubeconfig", kubeconfig, "--pump-image", inject("podImage"));
    expect(result.code).toBe(1);
    expect(lastLineOf(result)).toContain(
      `The image '${inject("podImage")}', which moves data in pods, cannot be used: `,
    );
  });

  test("the cluster is kept: by another up, and after down, during which jobs continue", async () => {
    expect((await up()).stderr).toContain("the stack is already up");
    const again = await up("--kubeconfig", kubeconfig, "--pump-image", PUMP_IMAGE);
    expect(again.stderr).toContain("the stack is already up");
    const id = await create("sleep 12; echo done");
    await hasStatus(id, "Running");
    expect((await stack.tyger(["down"])).code).toBe(0);
    expect(await up()).toMatchObject({ code: 0 });
    await hasStatus(id, "Succeeded");
    expect((await stack.tyger(["run", "logs", id])).stdout.toString()).toBe("done\n");
  });

  test("an up that fails with other flags keeps the cluster", async () => {
    const result = await up("--docker");
    expect(result.code).toBe(1);
    expect(lastLineOf(result)).toContain("none.sock");
    expect(await up()).toMatchObject({ code: 0 });
    expect((await stack.tyger(["status"])).stdout.toString()).toContain("Kubernetes    ");
  });

  test("down --purge ends the jobs and removes the namespace, with the finalizers of its pods", async () => {
    const namespace = `tyger-${await installationOf(stack)}`;
    const id = await create("trap '' TERM; sleep 600");
    await hasStatus(id, "Running");
    expect(await stack.tyger(["down", "--purge"], { limitMs: 180_000 })).toMatchObject({ code: 0 });
    expect(await kubectl("get", "namespace", namespace, "--ignore-not-found")).toBe("");
    expect(await stack.tyger(["down", "--purge"], { limitMs: 180_000 })).toMatchObject({ code: 0 });
    expect(await up()).toMatchObject({ code: 0 });
    await hasStatus(id, "Failed");
    const next = await create("echo again");
    await hasStatus(next, "Succeeded");
  });

  test("a namespace that existed stays, without our objects", async () => {
    const namespace = `tyger-test-${Date.now()}`;
    await kubectl("create", "namespace", namespace);
    try {
      expect(await up("--kubeconfig", kubeconfig, "--namespace", namespace, "--pump-image", PUMP_IMAGE)).toMatchObject({
        code: 0,
      });
      const id = await create("sleep 600");
      await hasStatus(id, "Running");
      expect(await stack.tyger(["down", "--purge"], { limitMs: 180_000 })).toMatchObject({ code: 0 });
      const left = await kubectl("-n", namespace, "get", "pods,secrets,configmaps", "-o", "name");
      expect(left.trim()).toBe("configmap/kube-root-ca.crt");
    } finally {
      await kubectl("delete", "namespace", namespace, "--wait=false");
    }
  });
}

if (why === "")
  describe("tyger up --kubeconfig", () => {
    describeUp();
  });
