import { expect, inject, test } from "vitest";
import { describeCompute } from "../ports/compute.ts";
import { openKubeRig } from "./rig.ts";

const why = inject("whyNoCluster");

test("there is a cluster", ({ skip }) => {
  skip(why !== "", why);
  expect(inject("kubeconfig")).not.toBe("");
});

if (why === "") describeCompute("Kubernetes", () => openKubeRig());
