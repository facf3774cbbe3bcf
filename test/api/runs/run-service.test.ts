import { isSameCodespec } from "../../fakes/codespecs.ts";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LOCAL_USER } from "../../../model/caller.ts";
import { createFakeApi, type FakeApi } from "../../fakes/api.ts";

let api: FakeApi;
beforeEach(async () => {
  api = createFakeApi({ maxOpenRuns: 5 });
  await api.codespecs.put(
    "hello",
    {
      kind: "job",
      image: "ubuntu",
      buffers: { inputs: ["input"], outputs: ["output"] },
    },
    isSameCodespec,
  );
  await api.codespecs.put("worker", { kind: "worker", image: "ubuntu" }, isSameCodespec);
});
afterEach(() => api.app.close());

const post = (payload: object, key?: string) =>
  api.app.inject({
    method: "POST",
    url: "/runs?api-version=1.0",
    payload,
    headers: key === undefined ? {} : { "idempotency-key": key },
  });
const call = (method: "GET" | "POST", url: string) => api.app.inject({ method, url: `${url}api-version=1.0` });

const DAY_MS = 86_400_000;
const INLINE = { kind: "job", image: "ubuntu" };

describe("creating a run", () => {
  test("refuses a codespec of its own over 1 MiB; a stored one that is larger can be used", async () => {
    const codespec = { kind: "job" as const, image: "ubuntu", args: Array<string>(200).fill("x".repeat(9000)) };
    const refusal = { error: { code: "InvalidInput", message: expect.stringContaining("(1 MiB)") } };
    const job = { codespec: "hello" };
    for (const payload of [{ job: { codespec } }, { job, worker: { codespec: { ...codespec, kind: "worker" } } }]) {
      const refused = await post(payload);
      expect([refused.statusCode, refused.json()]).toEqual([400, refusal]);
    }
    await api.codespecs.put("older", codespec, isSameCodespec);
    const created = await post({ job: { codespec: "older" } });
    expect(created.statusCode).toBe(201);
    expect((await call("GET", `/runs/${created.json().id}?`)).json().job.codespec).toEqual(codespec);
  });

  test("refuses outputs that several replicas would write, before any buffer is made", async () => {
    const job = { codespec: "hello", replicas: 2 };
    const message =
      "'2' replicas cannot write the output buffer 'output': a buffer is written once, so a run with output buffers has one replica";
    const refused = await post({ job });
    expect([refused.statusCode, refused.json()]).toEqual([400, { error: { code: "InvalidInput", message } }]);
    expect([api.bufferRows.size, api.runRows.size]).toEqual([0, 0]);
    expect((await post({ job: { ...job, replicas: 1 } })).statusCode).toBe(201);
  });

  test.each([
    [undefined, 1],
    [0, 1],
    [3, 3],
    [1000, 1000],
  ])("a run that asks for %s replicas has %i", async (replicas, count) => {
    const answer = await post({ job: { codespec: INLINE, replicas } });
    expect(api.runRows.get(answer.json().id)?.replicaCount).toBe(count);
  });

  test("refuses more than 1000 replicas", async () => {
    const refused = await post({ job: { codespec: INLINE, replicas: 1001 } });
    const message = "A run can have at most 1000 replicas, not '1001'";
    expect([refused.statusCode, refused.json()]).toEqual([400, { error: { code: "InvalidInput", message } }]);
  });

  test("resolves the codespec, creates the missing buffers, and starts the workflow", async () => {
    const given = (await api.buffers.create({ id: "a".repeat(26), location: "local" })).id;
    const earliestMs = Date.now();
    const answer = await post({
      createdAt: "0001-01-01T00:00:00Z",
      job: { codespec: "hello", buffers: { input: given }, tags: { k: "v", bufferName: "mine" }, bufferTtl: "1" },
      tags: { own: "1" },
    });
    expect([answer.statusCode, answer.headers["location"]]).toEqual([201, "/runs/1"]);
    const run = answer.json();
    expect(run).toMatchObject({
      id: 1,
      status: "Pending",
      timeoutSeconds: 43_200,
      bufferAccessTtl: "01:00:00",
      tags: { own: "1" },
      job: {
        codespec: { kind: "job", image: "ubuntu", name: "hello", version: 1, createdAt: expect.any(String) },
        buffers: { input: given, output: expect.stringMatching(/^[a-z2-7]{26}$/) },
        tags: { k: "v", bufferName: "mine" },
        bufferTtl: "1.00:00:00",
        replicas: 1,
      },
    });
    const output = api.bufferRows.get(run.job.buffers.output);
    expect(output?.tags).toEqual({ k: "v", bufferName: "output" });
    const createdAtMs = Date.parse(output?.expiresAt ?? "") - DAY_MS;
    expect(createdAtMs).toBeGreaterThanOrEqual(earliestMs);
    expect(createdAtMs).toBeLessThanOrEqual(Date.now());
    expect(api.places).toEqual(new Set([run.job.buffers.output]));
    expect(api.told).toEqual(["start 1"]);

    const shown = (await call("GET", "/runs/1?")).json();
    const { name: _name, version: _version, createdAt: _createdAt, ...codespec } = run.job.codespec;
    expect(shown).toEqual({ ...run, job: { ...run.job, codespec } });
    expect((await call("GET", "/runs?")).json()).toEqual({ items: [shown] });
  });

  test("a number of replicas that is zero is left out", async () => {
    const run = (await post({ job: { codespec: INLINE, replicas: 0 } })).json();
    expect(run.job).toEqual({ codespec: INLINE });
  });

  test("takes an inline codespec without the server's fields, ignores fields that Docker does not support", async () => {
    const codespec = { ...INLINE, name: "x", version: 3, createdAt: "2024-01-01T00:00:00Z" };
    const job = { codespec, nodePool: "gpunp", replicas: "4" };
    const run = (await post({ job, cluster: "c", timeoutSeconds: "600", bufferAccessTtl: "0.00:01:00" })).json();
    expect(run).toMatchObject({
      timeoutSeconds: 600,
      bufferAccessTtl: "00:01:00",
      job: { nodePool: "gpunp", replicas: 4 },
    });
    expect(run.cluster).toBeUndefined();
    expect(run.job.codespec).toEqual(INLINE);
  });

  const job = (fields: object) => ({ job: { codespec: INLINE, ...fields } });
  test.each([
    [{}, "missing required properties including: 'job'"],
    [{ job: {} }, "missing required properties including: 'codespec'"],
    [{ job: { codespec: "a b" } }, "'a b'"],
    [{ job: { codespec: "nowhere" } }, "The codespec 'nowhere' was not found"],
    [{ job: { codespec: "hello/versions/9" } }, "the latest version is '1'"],
    [{ job: { codespec: "hello/versions/99999999999999" } }, "was not found"],
    [{ job: { codespec: "worker" } }, "kind 'worker'"],
    [{ job: { codespec: { image: "ubuntu" } } }, "Missing discriminator property 'kind'"],
    [{ job: { codespec: { ...INLINE, buffers: { inputs: ["A"] } } } }, "Buffer names must consist"],
    [{ job: { codespec: { kind: "job", image: "absent:1" } } }, "The image 'absent:1' is not on this host"],
    [{ job: { codespec: { kind: "job", image: "ubuntu latest" } } }, "The image name 'ubuntu latest' is not valid"],
    [{ job: { codespec: { kind: "job", image: "-rm" } } }, "The image name '-rm' is not valid"],
    [{ job: { codespec: { ...INLINE, resources: { gpu: 1 } } } }, "asks for '1' GPUs"],
    [{ ...job({}), worker: { codespec: "worker" } }, "'worker' are not supported"],
    [{ ...job({}), kind: "system" }, "kind 'system' cannot be created"],
    [{ ...job({}), foo: 1 }, "the property 'foo' is not known"],
    [{ ...job({}), timeoutSeconds: 0 }, "$.timeoutSeconds"],
    [{ ...job({}), tags: { "a b": "" } }, "The tag key 'a b'"],
    [{ ...job({}), bufferAccessTtl: "00:00:10" }, "'00:00:10' is not between"],
    [job({ bufferTtl: "1h" }), "The time span '1h'"],
    [job({ buffers: { x: "a" } }), "no buffer parameter 'x'"],
    [job({ tags: { "a b": "" } }), "The tag key 'a b'"],
    [job({ replicas: -1 }), "$.job.replicas"],
    [job({ foo: 1 }), "at $.job: the property 'foo' is not known"],
    [{ job: { codespec: "hello", buffers: { Input: "x" } } }, "no buffer parameter 'Input'"],
    [{ job: { codespec: "hello", buffers: { input: "_" } } }, "not supported by this server yet"],
    [{ job: { codespec: "hello", buffers: { input: "b7" } } }, "The buffer 'b7' was not found"],
    [
      { job: { codespec: "hello", buffers: { input: "b".repeat(26) } } },
      `The buffer '${"b".repeat(26)}' was not found`,
    ],
  ])("%j is refused and leaves nothing", async (body, message) => {
    const answer = await post(body);
    expect([answer.statusCode, answer.json().error.code]).toEqual([400, "InvalidInput"]);
    expect(answer.json().error.message).toContain(message);
    expect([api.runRows.size, api.bufferRows.size, api.places.size, api.told.length]).toEqual([0, 0, 0, 0]);
  });

  test("an expired or soft-deleted buffer is not accepted as an argument", async () => {
    const [expired, deleted] = ["c".repeat(26), "d".repeat(26)];
    await api.buffers.create({ id: expired, location: "local", expiresAt: "2020-01-01T00:00:00+00:00" });
    api.bufferRows.set(deleted, {
      ...(await api.buffers.create({ id: deleted, location: "local" })),
      isSoftDeleted: true,
    });
    for (const id of [expired, deleted]) {
      const answer = await post({ job: { codespec: "hello", buffers: { input: id } } });
      expect(answer.json().error.message).toBe(`The buffer '${id}' was not found`);
    }
  });

  const TWO = { ...INLINE, buffers: { inputs: ["in"], outputs: ["a", "b"] } };
  const newBuffer = async (letter: string) => {
    const { id } = await api.buffers.create({ id: letter.repeat(26), location: "local" });
    return id;
  };
  /** The refusal of a run that leaves nothing of itself. */
  const refusalOf = async (body: object): Promise<string> => {
    const sizes = () => [api.runRows.size, api.bufferRows.size, api.places.size, api.told.length];
    const before = sizes();
    const answer = await post(body);
    expect([answer.statusCode, answer.json().error?.code, sizes()]).toEqual([400, "InvalidInput", before]);
    return answer.json().error.message;
  };

  test.each([".bufferstart", ".bufferend"])("an output that has a %s is refused, an input is not", async (blob) => {
    const id = await newBuffer("e");
    api.written.set(id, blob);
    expect(await refusalOf({ job: { codespec: TWO, buffers: { b: id } } })).toBe(
      `The buffer '${id}' has already been written to; give the output 'b' a new one, or none`,
    );
    expect((await post({ job: { codespec: TWO, buffers: { in: id } } })).statusCode).toBe(201);
  });

  test("one buffer for two outputs is refused, for an input and an output it is not", async () => {
    const id = await newBuffer("e");
    expect(await refusalOf({ job: { codespec: TWO, buffers: { a: id, b: id } } })).toBe(
      `The buffer '${id}' is given for both 'a' and 'b'; give each output its own`,
    );
    expect((await post({ job: { codespec: TWO, buffers: { in: id, b: id } } })).statusCode).toBe(201);
  });

  test("an output of an open run is refused; once that has ended, only what it wrote is", async () => {
    const id = await newBuffer("e");
    const body = { job: { codespec: TWO, buffers: { a: id } } };
    const first = (await post(body)).json();
    expect(await refusalOf(body)).toContain(`the run '${first.id}'`);
    api.change(first.id, { status: "Failed" });
    expect((await post(body)).statusCode).toBe(201);
  });

  test("an engine that is down is a 503", async () => {
    const answer = await post({ job: { codespec: { kind: "job", image: "engine-away" } } });
    expect([answer.statusCode, answer.json().error.code]).toEqual([503, "Unavailable"]);
  });

  test("a parameter can have the name of a property that every object has", async () => {
    const run = (await post({ job: { codespec: { ...INLINE, buffers: { inputs: ["constructor"] } } } })).json();
    expect(run.job.buffers).toEqual({ constructor: expect.stringMatching(/^[a-z2-7]{26}$/) });
  });

  test("more open runs than the limit are refused before anything is stored", async () => {
    for (let i = 0; i < 5; i++) expect((await post(job({}))).statusCode).toBe(201);
    const answer = await post({ job: { codespec: "hello" } });
    expect([answer.statusCode, answer.json().error.code]).toEqual([503, "Unavailable"]);
    expect([api.runRows.size, api.places.size]).toEqual([5, 0]);
  });
});

describe("an idempotency key", () => {
  test("returns the first run again, whatever the body", async () => {
    const first = (await post({ job: { codespec: INLINE } }, "k")).json();
    for (const body of [{ job: { codespec: "hello" } }, {}, { foo: 1 }]) {
      const again = await post(body, "k");
      expect([again.statusCode, again.json()]).toEqual([201, first]);
    }
    expect([api.runRows.size, api.places.size, api.told.length]).toEqual([1, 0, 1]);
    expect((await post({ job: { codespec: INLINE } }, "other")).json().id).toBe(2);
  });

  test("can be as long as a header can be", async () => {
    const key = "k".repeat(10_000);
    const ids = [await post({ job: { codespec: INLINE } }, key), await post({}, key)].map((answer) => answer.json().id);
    expect(ids).toEqual([1, 1]);
  });

  test("makes one run from many requests at once", async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => post({ job: { codespec: "hello" } }, "same")));
    expect(new Set(answers.map((answer) => answer.json().id))).toEqual(new Set([1]));
    expect([api.runRows.size, api.places.size, api.told.length]).toEqual([1, 2, 1]);
  });

  test("of a run that is being created makes a request wait, whatever its body", async () => {
    const find = api.runs.findByKey.bind(api.runs);
    // Both requests find nothing before the first makes its run; they continue in the order in which they arrived.
    const both = Promise.withResolvers<void>();
    let calls = 0;
    api.runs.findByKey = async (key) => {
      const run = await find(key);
      if (++calls === 2) both.resolve();
      await both.promise;
      return run;
    };
    const [first, second] = await Promise.all([
      post({ job: { codespec: INLINE } }, "k"),
      post({ job: { codespec: "nowhere" } }, "k"),
    ]);
    expect([second.statusCode, second.json()]).toEqual([201, first.json()]);
  });

  test("that another process used meanwhile leaves nothing from this request", async () => {
    const first = (await post({ job: { codespec: "hello" } }, "k")).json();
    const places = new Set(api.places);
    api.runs.findByKey = async () => undefined;
    const second = await post({ job: { codespec: "hello" } }, "k");
    expect([second.statusCode, second.json().id]).toEqual([201, first.id]);
    expect([api.places, api.told]).toEqual([places, ["start 1"]]);
  });

  test("of another caller makes a run of its own", async () => {
    const first = (await post({ job: { codespec: INLINE } }, "k")).json();
    api.caller = { subject: "eve", roles: ["contributor"] };
    const second = (await post({ job: { codespec: INLINE } }, "k")).json();
    expect(second.id).not.toBe(first.id);
    expect((await post({ job: { codespec: INLINE } }, "k")).json().id).toBe(second.id);
    api.caller = LOCAL_USER;
    expect((await post({ job: { codespec: INLINE } }, "k")).json().id).toBe(first.id);
  });

  test("of a request that failed can be used again", async () => {
    const [bad, good] = await Promise.all([
      post({ job: { codespec: "nowhere" } }, "k"),
      post({ job: { codespec: INLINE } }, "k"),
    ]);
    expect([bad.statusCode, good.statusCode]).toEqual([400, 201]);
  });
});

describe("runs", () => {
  test("are counted under lower camel keys, statuses without a run left out", async () => {
    for (let i = 0; i < 3; i++) await post({ job: { codespec: INLINE } });
    api.change(1, { status: "Succeeded" });
    expect((await call("GET", "/runs/counts?")).json()).toEqual({ pending: 2, succeeded: 1 });
    const { items } = (await call("GET", "/runs?status=SUCCEEDED&status=failed&")).json();
    expect(items.map(({ id }: { id: number }) => id)).toEqual([1]);
  });

  test("are canceled in the row before the answer, and then signaled", async () => {
    await post({ job: { codespec: INLINE } });
    const before = (await call("GET", "/runs/1?")).json();
    const answer = await call("POST", "/runs/1/cancel?");
    expect([answer.statusCode, answer.json().status]).toEqual([202, "Canceling"]);
    expect(answer.json().eTag).not.toBe(before.eTag);
    expect((await call("GET", "/runs/1?")).json()).toEqual(answer.json());
    expect(api.told).toEqual(["start 1", "cancel 1"]);
    expect((await call("POST", "/runs/9/cancel?")).statusCode).toBe(404);
  });

  test("that have ended are not changed by a cancel", async () => {
    await post({ job: { codespec: INLINE } });
    api.change(1, { status: "Succeeded" });
    const before = (await call("GET", "/runs/1?")).json();
    const answer = await call("POST", "/runs/1/cancel?");
    expect([answer.statusCode, answer.json()]).toEqual([202, before]);
    expect(api.told).toEqual(["start 1"]);
  });

  test("have none of the server's own fields in an answer", async () => {
    await post({ job: { codespec: INLINE } });
    api.change(1, { revision: 7, archivedAt: "x", admittedAt: "x", workflowStartedAt: "x" });
    expect(Object.keys((await call("GET", "/runs/1?")).json()).sort()).toEqual(
      ["bufferAccessTtl", "createdAt", "eTag", "id", "job", "status", "timeoutSeconds"].sort(),
    );
  });
});
