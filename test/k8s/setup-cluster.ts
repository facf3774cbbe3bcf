import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";
import { messageOf } from "../../model/errors.ts";
import { EXAMPLE_IMAGE } from "../../stack/docker/image.ts";

/** A cluster for this test run. */
declare module "vitest" {
  interface ProvidedContext {
    /** Of an administrator; empty when there is no cluster, and then `whyNoCluster` has the reason. */
    kubeconfig: string;
    whyNoCluster: string;
    /** An image with bash and coreutils' usual tools, present on the nodes. */
    podImage: string;
  }
}

const run = promisify(execFile);
const report = (line: string): void => void process.stderr.write(`cluster: ${line}\n`);

/** The folder with the scripts and binaries of a cluster of one node. */
const FILES = process.env["TYGER_KUBE_FILES"] ?? join(homedir(), ".cache/tyger/kube");

/** Takes the given cluster, or starts one of one node; ends what it started. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const provide = (kubeconfig: string, whyNoCluster: string): void => {
    project.provide("kubeconfig", kubeconfig);
    project.provide("whyNoCluster", whyNoCluster);
    if (whyNoCluster !== "") report(`tests on Kubernetes are skipped: ${whyNoCluster}`);
  };
  project.provide("podImage", process.env["TYGER_KUBE_IMAGE"] ?? EXAMPLE_IMAGE);
  const given = process.env["TYGER_TEST_KUBECONFIG"];
  if (given) {
    provide(given, "");
    return async () => {};
  }
  const why = whyNoCluster();
  if (why !== undefined) {
    provide("", why);
    return async () => {};
  }
  const state = await mkdtemp(join(tmpdir(), "tyger-kube-"));
  const tearDown = async (): Promise<void> => {
    await run(join(FILES, "down.sh"), ["--purge", state]);
    await rm(state, { recursive: true, force: true });
  };
  try {
    const { stdout } = await run(join(FILES, "up.sh"), [state]);
    const archive = join(state, "image.tar");
    await run("docker", ["save", "--output", archive, EXAMPLE_IMAGE]);
    await run(join(FILES, "load-image.sh"), [archive, state]);
    provide(stdout.trim(), "");
  } catch (err) {
    await tearDown();
    throw new Error(`The cluster could not be started: ${messageOf(err)}`, { cause: err });
  }
  return tearDown;
}

function whyNoCluster(): string | undefined {
  if (process.getuid?.() !== 0) return "no TYGER_TEST_KUBECONFIG is set, and only root can start a cluster";
  const missing = ["kube.xz", "coredns.xz", "up.sh"].find((file) => !existsSync(join(FILES, file)));
  return missing === undefined
    ? undefined
    : `'${join(FILES, missing)}' is missing (set TYGER_KUBE_FILES to its folder)`;
}
