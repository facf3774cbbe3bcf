import { expect, test } from "vitest";
import { LOCAL_USER, type Caller } from "../../model/caller.ts";
import type { JobCodespec } from "../../model/codespec/codespec.ts";
import type { BlobHead, BufferStore } from "../../model/ports/store.ts";
import type { RunRequest } from "../../model/run/run.ts";
import { createRunCreation } from "../../runs/create.ts";
import { storesIn } from "../fakes/locations.ts";
import { createFakeRecords } from "../fakes/records.ts";
import { soleCluster } from "../fakes/clusters.ts";

const EVE: Caller = { subject: "eve", roles: ["contributor"] };
const REQUEST: RunRequest = {
  job: { codespec: { inline: { kind: "job", image: "ubuntu" } }, replicas: 1 },
  timeoutSeconds: 60,
  bufferAccessTtl: "01:00:00",
};
const refuse = (): never => {
  throw new Error("not expected by this test");
};
const NO_STORE: BufferStore = {
  provision: refuse,
  exists: refuse,
  put: refuse,
  get: refuse,
  head: refuse,
  putWhole: refuse,
  getWhole: refuse,
  waitFor: refuse,
  list: refuse,
  delete: refuse,
};

test("a refusal by the run that another process has created with the same key is that run", async () => {
  const records = createFakeRecords();
  const buffer = "e".repeat(26);
  await records.buffers.create({ id: buffer, location: "local" });
  const inline: JobCodespec = { kind: "job", image: "ubuntu", buffers: { outputs: ["out"] } };
  const { timeoutSeconds, bufferAccessTtl } = REQUEST;
  const request: RunRequest = { ...REQUEST, job: { codespec: { inline }, buffers: { out: buffer } } };
  // The other process creates the run, and its pump begins the buffer, while this one looks at the buffer.
  const head = async (): Promise<BlobHead> => {
    await records.runs.create({
      timeoutSeconds,
      bufferAccessTtl,
      job: { codespec: inline, buffers: { out: buffer } },
      newBuffers: [],
      idempotencyKey: { owner: LOCAL_USER.subject, text: "key" },
    });
    return { sizeBytes: 0, contentMd5: "", metadata: {} };
  };
  const creation = createRunCreation({
    ...records,
    store: storesIn({ ...NO_STORE, head }),
    clusters: soleCluster(),
    workflows: { start: refuse },
    maxOpenRuns: 10,
  });
  expect(await creation.create(LOCAL_USER, request, "key")).toMatchObject({ id: 1, job: { buffers: { out: buffer } } });
  await expect(creation.create(LOCAL_USER, request, "other")).rejects.toMatchObject({ code: "InvalidInput" });
});

test("a caller does not wait for a run that another one is creating with the same key", async () => {
  const checked = Promise.withResolvers<void>();
  const started: number[] = [];
  const creation = createRunCreation({
    ...createFakeRecords(),
    store: storesIn(NO_STORE),
    clusters: soleCluster(() => checked.promise),
    workflows: { start: ({ id }) => void started.push(id) },
    maxOpenRuns: 10,
  });
  const creating = creation.create(LOCAL_USER, REQUEST, "key");
  const own = creation.findByKey(LOCAL_USER, "key");
  expect(await creation.findByKey(EVE, "key")).toBeUndefined();
  checked.resolve();
  expect([(await creating).id, (await own)?.id, started]).toEqual([1, 1, [1]]);
  expect(await creation.findByKey(EVE, "key")).toBeUndefined();
});
