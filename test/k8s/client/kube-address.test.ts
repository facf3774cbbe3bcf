import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addressOf } from "../../../k8s/client/kube-address.ts";

let file: string;
beforeAll(async () => {
  file = join(await mkdtemp(join(tmpdir(), "tyger-kubeconfig-")), "config");
});
afterAll(() => rm(join(file, ".."), { recursive: true }));

const CONFIG = `
apiVersion: v1
kind: Config
clusters: [{ name: near, cluster: { server: "https://near:6443" } }, { name: odd, cluster: { server: near } }]
users: [{ name: admin, user: {} }]
contexts:
  - { name: a, context: { cluster: near, user: admin } }
  - { name: b, context: { cluster: odd, user: admin } }
  - { name: c, context: { cluster: none, user: admin } }
`;

test("the context of the configuration is used, else the current one", async () => {
  await writeFile(file, `${CONFIG}current-context: a\n`);
  expect(addressOf({ kubeconfig: file }).server).toBe("https://near:6443");
  await writeFile(file, `${CONFIG}current-context: c\n`);
  expect(addressOf({ kubeconfig: file, context: "a" }).server).toBe("https://near:6443");
});

test.each([
  ["", undefined, "has no current context; name one of 'a', 'b', 'c'"],
  ["", "d", "has no context 'd'; it has 'a', 'b', 'c'"],
  ["", "c", "names no cluster"],
  ["", "b", "has the address 'near', which is not a URL"],
  ["clusters: [", undefined, "cannot be read: "],
])("a kubeconfig that ends with %j, in the context %s, is refused with its reason", async (more, context, reason) => {
  await writeFile(file, CONFIG + more);
  expect(() => addressOf({ kubeconfig: file, context })).toThrow(`The kubeconfig '${file}' ${reason}`);
});

test("a kubeconfig that does not exist is named", () => {
  const missing = `${file}.none`;
  expect(() => addressOf({ kubeconfig: missing })).toThrow(
    `The kubeconfig '${missing}' cannot be read: there is no such file`,
  );
});
