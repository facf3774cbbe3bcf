import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { keptKubernetes, knownInstallation, settleChoice } from "../../stack/kubernetes.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tyger-kubernetes-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const near = { kubeconfig: "/k", context: "near", namespace: "jobs" };

test("a cluster is kept until another call of up changes it", () => {
  expect(settleChoice(folder, undefined)).toMatchObject({ given: undefined, isChanged: false });
  const first = settleChoice(folder, near);
  expect(first).toMatchObject({ given: near, isChanged: true });
  first.keep("10.0.0.1:7");
  expect(settleChoice(folder, undefined)).toMatchObject({
    given: near,
    isChanged: false,
    podListen: "10.0.0.1:7",
  });
  expect(settleChoice(folder, { ...near })).toMatchObject({ given: near, isChanged: false });
  expect(settleChoice(folder, { kubeconfig: "/k" })).toMatchObject({ isChanged: true });
  const docker = settleChoice(folder, "docker");
  expect(docker).toMatchObject({ given: undefined, isChanged: true });
  docker.keep(undefined);
  expect(keptKubernetes(folder)).toBeUndefined();
  expect(settleChoice(folder, "docker")).toMatchObject({ isChanged: false });
});

test("the cluster of a stack that did not start with it is not kept", () => {
  settleChoice(folder, near).keep(undefined);
  const failed = settleChoice(folder, { kubeconfig: "/other" });
  failed.keep("10.0.0.1:8");
  failed.revert();
  expect(keptKubernetes(folder)).toEqual(near);
});

test("a setting that cannot be read is an error, until flags replace it", () => {
  writeFileSync(join(folder, "kubernetes.json"), "{");
  const message = `'${join(folder, "kubernetes.json")}' cannot be read; run 'tyger up' with --kubeconfig or --docker to replace it`;
  expect(() => settleChoice(folder, undefined)).toThrow(message);
  settleChoice(folder, near).keep(undefined);
  expect(keptKubernetes(folder)).toEqual(near);
});

test("an installation is known once its worker has been ready", () => {
  expect(knownInstallation(folder)).toBeUndefined();
  writeFileSync(join(folder, "installation"), "inst\n");
  expect(knownInstallation(folder)).toBe("inst");
});
