import { randomBytes, randomInt } from "node:crypto";
import { base32 } from "../../model/buffer/buffer.ts";
import type { JobCodespec } from "../../model/codespec/codespec.ts";
import type { RunRecord } from "../../model/run/run.ts";

/** A run of this codespec without buffers. */
export const runOf = (codespec: Partial<JobCodespec>, more: Partial<RunRecord> = {}): RunRecord => ({
  id: randomInt(1, 1_000_000_000),
  uid: base32(randomBytes(10)),
  eTag: "1",
  status: "Pending",
  cluster: "kube",
  createdAt: new Date().toISOString(),
  job: { codespec: { kind: "job", image: "img", ...codespec } },
  timeoutSeconds: 600,
  bufferAccessTtl: "01:00:00",
  replicaCount: 1,
  revision: 0,
  ...more,
});
