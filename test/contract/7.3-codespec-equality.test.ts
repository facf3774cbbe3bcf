import { expect, test } from "vitest";
import { isSameCodespec } from "../fakes/codespecs.ts";
import type { Codespec } from "../../model/codespec/codespec.ts";

const job: Codespec = {
  kind: "job",
  image: "ubuntu",
  command: ["sh", "-c"],
  args: ["a", "b"],
  env: { A: "1", B: "2" },
  buffers: { inputs: ["x", "y"], outputs: ["z", "w"] },
  resources: { requests: { cpu: "1", memory: "1Gi" }, gpu: "1" },
};
const worker: Codespec = { kind: "worker", image: "ubuntu", endpoints: { a: 1, b: 2 } };

test.each<[string, Codespec, Codespec]>([
  ["the same text", job, structuredClone(job)],
  ["env in another order", job, { ...job, env: { B: "2", A: "1" } }],
  ["inputs in another order", job, { ...job, buffers: { inputs: ["y", "x"], outputs: ["z", "w"] } }],
  ["outputs in another order", job, { ...job, buffers: { inputs: ["x", "y"], outputs: ["w", "z"] } }],
  [
    "quantities of the same value",
    job,
    { ...job, resources: { gpu: "1000m", requests: { memory: "1024Mi", cpu: "1000m" } } },
  ],
  ["endpoints in another order", worker, { ...worker, endpoints: { b: 2, a: 1 } }],
  ["fields that the server sets", job, Object.assign({ name: "n", version: 3, createdAt: "2024" }, job)],
  ["equal sockets", { ...job, sockets: [{ port: 1 }] }, { ...job, sockets: [{ port: 1 }] }],
])("equal: %s", (_, a, b) => {
  expect(isSameCodespec(a, b)).toBe(true);
});

test.each<[string, Codespec, Codespec]>([
  ["another kind", { kind: "job", image: "i" }, { kind: "worker", image: "i" }],
  ["another image", job, { ...job, image: "debian" }],
  ["args in another order", job, { ...job, args: ["b", "a"] }],
  ["command in another order", job, { ...job, command: ["-c", "sh"] }],
  ["another env value", job, { ...job, env: { A: "1", B: "3" } }],
  ["an input that became an output", job, { ...job, buffers: { inputs: ["x"], outputs: ["y", "z", "w"] } }],
  ["another quantity", job, { ...job, resources: { requests: { cpu: "1", memory: "1G" }, gpu: "1" } }],
  ["requests that became limits", job, { ...job, resources: { limits: { cpu: "1", memory: "1Gi" }, gpu: "1" } }],
  ["another port", worker, { ...worker, endpoints: { a: 1, b: 3 } }],
  ["another working directory", job, { ...job, workingDir: "/w" }],
  ["another identity", job, { ...job, identity: "who" }],
  ["another maxReplicas", job, { ...job, maxReplicas: 2 }],
  ["sockets", job, { ...job, sockets: [{ port: 1, inputBuffer: "x" }] }],
])("different: %s", (_, a, b) => {
  expect(isSameCodespec(a, b)).toBe(false);
});
