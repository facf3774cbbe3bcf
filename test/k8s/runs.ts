import { randomBytes, randomInt } from "node:crypto";
import { base32 } from "../../model/buffer/buffer.ts";
import type { JobCodespec } from "../../model/codespec/codespec.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { newBufferId } from "../../runs/buffers.ts";

/** A run of this codespec, with a buffer for each parameter. */
export const runOf = ({ buffers, ...codespec }: Partial<JobCodespec>, more: Partial<RunRecord> = {}): RunRecord => ({
  id: randomInt(1, 1_000_000_000),
  uid: base32(randomBytes(10)),
  eTag: "1",
  status: "Pending",
  cluster: "kube",
  createdAt: new Date().toISOString(),
  job: {
    codespec: { kind: "job", image: "img", ...codespec, ...(buffers && { buffers }) },
    ...(buffers && { buffers: buffersFor([...(buffers.inputs ?? []), ...(buffers.outputs ?? [])]) }),
  },
  timeoutSeconds: 600,
  bufferAccessTtl: "01:00:00",
  replicaCount: 1,
  revision: 0,
  ...more,
});

const buffersFor = (parameters: readonly string[]): Record<string, string> =>
  Object.fromEntries(parameters.map((parameter) => [parameter, newBufferId()]));
