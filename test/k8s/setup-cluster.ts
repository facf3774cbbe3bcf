import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { EXAMPLE_IMAGE } from "../../stack/docker/image.ts";
import { provideTestImage } from "../test-image.ts";
import { endCluster, whyNoOwnCluster } from "./own-cluster.ts";
import { PUMP_IMAGE } from "./pump-image.ts";

/** A cluster for this test run. */
declare module "vitest" {
  interface ProvidedContext {
    /** Of an administrator; empty when there is no cluster, and then `whyNoCluster` has the reason. */
    kubeconfig: string;
    whyNoCluster: string;
    /** The folder of a cluster that the tests start themselves, and that they can break; empty for a given one. */
    ownCluster: string;
    /** The process that runs all tests. */
    testRunPid: number;
    /** An image with bash and coreutils' usual tools, present on the nodes. */
    podImage: string;
    /** An image with Node and mkfifo, present on the nodes. */
    pumpImage: string;
    /** The address of this machine as pods know it. */
    podHost: string;
  }
}

const report = (line: string): void => void process.stderr.write(`cluster: ${line}\n`);

/**
 * Takes the given cluster, or prepares one of one node. The first file that needs that one starts it (start-cluster.ts), so that it
 * takes nothing from the suites before; it is ended here, or by itself when this process is killed.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env["TYGER_TEST_KUBECONFIG"];
  const why = given ? undefined : await whyNoOwnCluster();
  project.provide("podImage", process.env["TYGER_KUBE_IMAGE"] ?? EXAMPLE_IMAGE);
  project.provide("pumpImage", process.env["TYGER_KUBE_PUMP_IMAGE"] ?? PUMP_IMAGE);
  project.provide("podHost", process.env["TYGER_TEST_POD_HOST"] ?? "10.244.0.1");
  project.provide("testRunPid", process.pid);
  project.provide("whyNoCluster", why ?? "");
  if (given || why !== undefined) {
    if (why !== undefined) report(`tests on Kubernetes are skipped: ${why}`);
    project.provide("kubeconfig", given ?? "");
    project.provide("ownCluster", "");
    return async () => {};
  }
  const state = await mkdtemp(join(tmpdir(), "tyger-kube-"));
  const leaveImage = await provideTestImage(report);
  project.provide("kubeconfig", join(state, "admin.kubeconfig"));
  project.provide("ownCluster", state);
  return async () => {
    await endCluster(state);
    await leaveImage();
    await rm(state, { recursive: true, force: true });
  };
}
