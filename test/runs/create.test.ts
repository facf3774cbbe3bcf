import { expect, test } from "vitest";
import { LOCAL_USER, type Caller } from "../../model/caller.ts";
import type { RunRequest } from "../../model/run/run.ts";
import { createRunCreation } from "../../runs/create.ts";
import { createFakeRecords } from "../fakes/records.ts";

const EVE: Caller = { subject: "eve", roles: ["contributor"] };
const REQUEST: RunRequest = {
  job: { codespec: { inline: { kind: "job", image: "ubuntu" } }, replicas: 1 },
  timeoutSeconds: 60,
  bufferAccessTtl: "01:00:00",
};
const refuse = (): never => {
  throw new Error("not expected by this test");
};

test("a caller does not wait for a run that another one is creating with the same key", async () => {
  const checked = Promise.withResolvers<void>();
  const started: number[] = [];
  const creation = createRunCreation({
    ...createFakeRecords(),
    store: {
      provision: refuse,
      exists: refuse,
      put: refuse,
      get: refuse,
      head: refuse,
      waitFor: refuse,
      list: refuse,
      delete: refuse,
    },
    checkMode: () => checked.promise,
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
