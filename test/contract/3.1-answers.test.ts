import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { answerOf } from "../../contract/answer.ts";
import { BUFFER } from "../../contract/fields/buffer-fields.ts";
import { CODESPEC } from "../../contract/fields/codespec-fields.ts";
import type { Table } from "../../contract/fields/field.ts";
import { RUN } from "../../contract/fields/run-fields.ts";
import type { Run } from "../../model/run/run.ts";
import type { FakeApi } from "../fakes/api.ts";
import { WITH_AND_WITHOUT_TOKENS } from "../fakes/token-api.ts";

const AT = "2024-01-25T18:20:49.951262+00:00";
const RUNNING = {
  id: 7,
  eTag: "12",
  status: "Running",
  createdAt: AT,
  job: { codespec: { image: "i", kind: "job" } },
  timeoutSeconds: 43_200,
  bufferAccessTtl: "01:00:00",
} satisfies Run;
const CODESPEC_1 = { kind: "worker", image: "i", name: "n", version: 1, createdAt: AT };

const shown = (table: Table, value: object): unknown => answerOf({ object: table })(value);

describe("an answer has", () => {
  test.each<[string, Table, object, object]>([
    ["null left out", RUN, { ...RUNNING, statusReason: null }, RUNNING],
    ["a nullable zero", RUN, { ...RUNNING, runningCount: 0 }, { ...RUNNING, runningCount: 0 }],
    ["no zero of a number that is not nullable", RUN, { ...RUNNING, job: { ...RUNNING.job, replicas: 0 } }, RUNNING],
    ["an empty map", RUN, { ...RUNNING, tags: {} }, { ...RUNNING, tags: {} }],
    [
      "no false",
      BUFFER,
      { id: "b", createdAt: AT, location: "l", eTag: "1", isSoftDeleted: false },
      { id: "b", createdAt: AT, location: "l", eTag: "1" },
    ],
    [
      "nothing that the server keeps for itself",
      RUN,
      { ...RUNNING, replicaCount: 1, revision: 3, archivedAt: AT },
      RUNNING,
    ],
    [
      "nothing new inside a codespec",
      RUN,
      { ...RUNNING, job: { codespec: { ...RUNNING.job.codespec, pipes: 1 } } },
      RUNNING,
    ],
    ["the fields of its variant only", CODESPEC, { ...CODESPEC_1, buffers: { inputs: ["a"] } }, CODESPEC_1],
  ])("%s", (_, table, given, expected) => {
    expect(shown(table, given)).toEqual(expected);
  });

  test("its fields in the order in which the server has them", () => {
    expect(JSON.stringify(shown(RUN, RUNNING))).toBe(JSON.stringify(RUNNING));
  });
});

test.each<[string, Table, object]>([
  ["a missing field", RUN, { ...RUNNING, eTag: undefined }],
  ["text for a number", RUN, { ...RUNNING, timeoutSeconds: "600" }],
  ["an unknown status", RUN, { ...RUNNING, status: "Sleeping" }],
  ["an instant without its offset", RUN, { ...RUNNING, createdAt: "2024-01-25 18:20:49" }],
  ["a time span of seconds", RUN, { ...RUNNING, bufferAccessTtl: "3600" }],
  ["a tag that is not text", RUN, { ...RUNNING, tags: { a: 1 } }],
  ["a codespec of no kind", RUN, { ...RUNNING, job: { codespec: { image: "i" } } }],
  ["a stored codespec without its version", CODESPEC, { ...CODESPEC_1, version: undefined }],
])("%s does not fit", (_, table, given) => {
  expect(() => shown(table, given)).toThrow("does not fit the contract");
});

describe.each(WITH_AND_WITHOUT_TOKENS)("on the routes, %s,", (_name, create) => {
  let api: FakeApi;
  beforeEach(() => {
    api = create();
    api.runRows.set(7, { ...RUNNING, cluster: "docker", replicaCount: 1, revision: 1, workflowStartedAt: AT });
  });
  afterEach(() => api.app.close());
  const get = (url: string) => api.app.inject({ method: "GET", url: `${url}api-version=1.0` });

  test("a run is written the same way in show, list, watch and cancel", async () => {
    const text = JSON.stringify(RUNNING);
    expect((await get("/runs/7?")).body).toBe(text);
    expect((await get("/runs?")).body).toBe(`{"items":[${text}]}`);
    api.runRows.set(7, { ...RUNNING, cluster: "docker", replicaCount: 1, status: "Canceled", revision: 2 });
    const canceled = JSON.stringify({ ...RUNNING, status: "Canceled" });
    expect((await get("/runs/7?watch=true&")).body).toBe(`${canceled}\n`);
    const cancel = await api.app.inject({ method: "POST", url: "/runs/7/cancel?api-version=1.0" });
    expect([cancel.statusCode, cancel.body, cancel.headers["content-type"]]).toEqual([
      202,
      canceled,
      "application/json; charset=utf-8",
    ]);
  });

  test.each(["/runs/7?", "/runs?"])(
    "%s answers 500 without a text where a run does not fit, and logs it",
    async (url) => {
      api.change(7, { createdAt: "yesterday" });
      const answer = await get(url);
      expect([answer.statusCode, answer.body]).toEqual([500, ""]);
      expect(api.logged).toContainEqual(expect.objectContaining({ level: "error", message: "unhandled error" }));
    },
  );
});
