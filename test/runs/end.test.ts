import { expect, test } from "vitest";
import { CodedError } from "../../model/errors.ts";
import type { ClusterRunRecords } from "../../model/ports/records.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { endRun } from "../../runs/end.ts";
import { createFakeRunPorts } from "../fakes/run-ports.ts";

test("an output that cannot be marked holds up neither the recorded end nor the offer of the slot", async () => {
  const run: RunRecord = {
    id: 7,
    uid: "abc",
    status: "Running",
    cluster: "docker",
    job: {
      codespec: { kind: "job", image: "ubuntu", buffers: { outputs: ["out"] } },
      buffers: { out: "b".repeat(26) },
    },
    timeoutSeconds: 60,
    bufferAccessTtl: "01:00:00",
    createdAt: new Date().toISOString(),
    eTag: "1",
    replicaCount: 1,
    revision: 1,
  };
  const offered: number[] = [];
  const released: number[] = [];
  const runs: Partial<ClusterRunRecords> = {
    load: async () => run,
    finish: async (_run, outcome) => ({ ...run, ...outcome }),
    nextToAdmit: async () => [8],
    outputClaims: async () => [{ bufferId: "b".repeat(26), hasToken: true }],
    releaseOutputs: async ({ id }) => void released.push(id),
  };
  // This test asks for no other record.
  const ports = createFakeRunPorts(runs as ClusterRunRecords, {
    maxLiveRuns: 1,
    offerSlot: async (id) => void offered.push(id),
  });
  ports.store.put = async () => {
    throw new CodedError("Unavailable", "The buffer store has no space left");
  };
  const replica = { container: { phase: "Exited", exitCode: 3, finishedAt: new Date().toISOString() } } as const;
  expect(await endRun(ports, run, { replicas: [replica] })).toMatchObject({ status: "Failed" });
  expect([offered, released]).toEqual([[8], []]);
  expect(ports.warnings).toEqual([
    {
      runId: 7,
      reason: "The buffer store has no space left",
      message: "the outputs of the run have no end marks yet",
    },
  ]);
});
