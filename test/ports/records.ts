import { randomBytes } from "node:crypto";
import { onTestFinished, expect, test } from "vitest";
import { base32 } from "../../model/buffer/buffer.ts";
import type { JobCodespec } from "../../model/codespec/codespec.ts";
import type { Outcome } from "../../model/run/lifecycle.ts";
import type {
  BufferRecords,
  CodespecRecords,
  NewRun,
  Page,
  PageQuery,
  RunFilter,
  RunRecords,
} from "../../model/ports/records.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import { RUN_STATUSES, type Run, type RunRecord } from "../../model/run/run.ts";
import { isSameCodespec } from "../fakes/codespecs.ts";
import { eventually, stays } from "../eventually.ts";

/** The records as the API uses them: the database and the fake keep the same promises. */
export interface RecordsUnderTest {
  codespecs: CodespecRecords;
  buffers: BufferRecords;
  runs: Pick<
    RunRecords,
    "create" | "findByKey" | "find" | "list" | "counts" | "countOpen" | "requestCancel" | "setTags" | "listen"
  >;
  /** Ends a run, as its workflow does. */
  end(id: number, outcome: Outcome): Promise<RunRecord>;
}

const SHOWN = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{0,5}[1-9])?\+00:00$/;

export const codespec: JobCodespec = { kind: "job", image: "ubuntu", command: ["true"] };

export const bufferId = (): string => base32(randomBytes(16));

/** A run as the API stores it, with `given` over it. */
export const newRun = (given: Partial<NewRun> = {}): NewRun => ({
  job: { codespec },
  timeoutSeconds: 43_200,
  bufferAccessTtl: "01:00:00",
  newBuffers: [],
  ...given,
});

/** A job with one output parameter for each buffer. */
export function jobWithOutputs(...ids: string[]): NewRun["job"] {
  const outputs = ids.map((_, place) => `out${place}`);
  return {
    codespec: { ...codespec, buffers: { outputs } },
    buffers: Object.fromEntries(outputs.map((name, place) => [name, ids[place] ?? ""])),
  };
}

/** The id of a run that was stored just now. */
export async function createdId(records: Pick<RecordsUnderTest, "runs">, given: Partial<NewRun> = {}): Promise<number> {
  return (await records.runs.create(newRun(given))).run.id;
}

/** Which run was stored just now. */
export async function createdRun(
  records: Pick<RecordsUnderTest, "runs">,
  given: Partial<NewRun> = {},
): Promise<RunIdentity> {
  const { id, uid } = (await records.runs.create(newRun(given))).run;
  return uid === undefined ? { id } : { id, uid };
}

/** The results of twenty calls made at once. */
export const twentyAtOnce = <T>(call: (place: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: 20 }, (_, place) => call(place)));

/** All pages of a list, and how many there were. */
export async function pagesOf(
  records: Pick<RecordsUnderTest, "runs">,
  query: PageQuery & RunFilter,
): Promise<{ items: Run[]; pages: number }> {
  const items: Run[] = [];
  let after: string | undefined;
  for (let pages = 1; ; pages += 1) {
    const page = await records.runs.list({ ...query, after });
    expect(page.items.length).toBeLessThanOrEqual(query.limit);
    items.push(...page.items);
    if (page.next === undefined) return { items, pages };
    after = page.next;
  }
}

export const idsOf = (items: readonly Run[]): number[] => items.map(({ id }) => id);

/** Twelve runs: every second has the tag `even`, every third `third`; the first six have ended. */
async function twelveRuns(records: RecordsUnderTest): Promise<number[]> {
  const ids: number[] = [];
  for (let place = 0; place < 12; place += 1) {
    const tags = { all: "yes", ...(place % 2 ? {} : { even: "yes" }), ...(place % 3 ? {} : { third: "yes" }) };
    ids.push(await createdId(records, { tags }));
  }
  for (const id of ids.slice(0, 4)) await records.end(id, { status: "Succeeded" });
  for (const id of ids.slice(4, 6)) await records.end(id, { status: "Failed" });
  return ids;
}

/** The promises of the records; `open` gives empty ones, which go with the test. */
export function testRecords(open: () => Promise<RecordsUnderTest>): void {
  test("a buffer is found as its creation returned it", async () => {
    const records = await open();
    const id = bufferId();
    const buffer = await records.buffers.create({ id, location: "local", tags: { b: "2", a: "1" } });
    expect(buffer).toEqual({
      id,
      location: "local",
      createdAt: expect.stringContaining("+00:00"),
      tags: { a: "1", b: "2" },
      eTag: expect.stringMatching(/^\d+$/),
    });
    expect(await records.buffers.find(id)).toEqual(buffer);
    expect(await records.buffers.find(bufferId())).toBeUndefined();
  });

  test("a buffer without tags has none", async () => {
    const records = await open();
    const [bare, empty] = [bufferId(), bufferId()];
    expect(await records.buffers.create({ id: bare, location: "local" })).not.toHaveProperty("tags");
    expect(await records.buffers.create({ id: empty, location: "local", tags: {} })).not.toHaveProperty("tags");
  });

  test.each([
    ["2098-01-25T18:20:49.999999999Z", "2098-01-25T18:20:49.999999+00:00"],
    ["2098-01-25T18:20:49.1234564999+02:00", "2098-01-25T16:20:49.123456+00:00"],
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"],
    ["9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999+00:00"],
  ])("an expiry of %s is shown as %s, at once and later", async (expiresAt, shown) => {
    const records = await open();
    const buffer = await records.buffers.create({ id: bufferId(), location: "local", expiresAt });
    expect(buffer.expiresAt).toBe(shown);
    expect(await records.buffers.find(buffer.id)).toEqual(buffer);
  });

  test("an expiry that is not an instant is refused", async () => {
    const records = await open();
    const buffer = { id: bufferId(), location: "local", expiresAt: "2024-02-30T00:00:00Z" };
    await expect(records.buffers.create(buffer)).rejects.toMatchObject({ code: "InvalidInput" });
  });

  test("a codespec starts at version 1, and only a different one makes a new version", async () => {
    const records = await open();
    const { codespecs } = records;
    const first = await codespecs.put("hello", codespec, isSameCodespec);
    expect(first).toEqual({ ...codespec, name: "hello", version: 1, createdAt: expect.stringContaining("+00:00") });
    expect(await codespecs.put("hello", structuredClone(codespec), isSameCodespec)).toEqual(first);
    const second = await codespecs.put("hello", { ...codespec, image: "debian" }, isSameCodespec);
    expect(second.version).toBe(2);
    expect((await codespecs.put("hello", codespec, isSameCodespec)).version).toBe(3);
    expect(await codespecs.find("hello")).toMatchObject({ version: 3, image: "ubuntu" });
    expect(await codespecs.find("hello", 2)).toEqual(second);
  });

  test.each([0, -1, 2, 1.5, 2 ** 31, 2 ** 60])("there is no version %d", async (version) => {
    const records = await open();
    await records.codespecs.put("hello", codespec, isSameCodespec);
    expect(await records.codespecs.find("hello", version)).toBeUndefined();
    expect(await records.codespecs.find("other")).toBeUndefined();
  });

  test("twenty different contents at once get twenty versions", async () => {
    const records = await open();
    const put = await twentyAtOnce((place) =>
      records.codespecs.put("hello", { ...codespec, args: [`${place}`] }, isSameCodespec),
    );
    const versions = put.map(({ version }) => version).toSorted((a, b) => a - b);
    expect(versions).toEqual(Array.from({ length: 20 }, (_, place) => place + 1));
  });

  test("twenty equal contents at once share one version", async () => {
    const records = await open();
    const put = await twentyAtOnce(() => records.codespecs.put("hello", codespec, isSameCodespec));
    expect(new Set(put.map((version) => JSON.stringify(version))).size).toBe(1);
  });

  test("numbers in text stay text, and the order of env stays", async () => {
    const records = await open();
    const given = {
      ...codespec,
      args: ["10.5", "true", '"', "\\", "null", "é🙂"],
      env: { Z: "1", B: "2", A: "3" },
      resources: { requests: { cpu: "1", memory: "10" } },
      maxReplicas: 3,
    };
    await records.codespecs.put("n", given, isSameCodespec);
    const found = await records.codespecs.find("n");
    expect(found).toMatchObject(given);
    expect(Object.keys(found?.env ?? {})).toEqual(["Z", "B", "A"]);
  });

  test("the list holds the latest versions in byte order, by pages", async () => {
    const records = await open();
    const names = ["-", ".b", "_a", "a", "a-1", "a.1", "a_1", "aa", "b", "z"];
    for (const name of names.toReversed()) {
      await records.codespecs.put(name, codespec, isSameCodespec);
      await records.codespecs.put(name, { ...codespec, image: "debian" }, isSameCodespec);
    }
    const expected = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const listed: string[] = [];
    let after: string | undefined;
    do {
      const page = await records.codespecs.list({ limit: 3, after });
      for (const item of page.items) expect(item).toMatchObject({ version: 2, image: "debian" });
      listed.push(...page.items.map(({ name }) => name));
      // An update while paging repeats nothing.
      await records.codespecs.put("a", { ...codespec, image: "debian" }, isSameCodespec);
      after = page.next;
    } while (after !== undefined);
    expect(listed).toEqual(expected);
    expect(await records.codespecs.list({ limit: 0 })).toEqual({ items: [] });
    expect(await records.codespecs.list({ limit: 10 })).not.toHaveProperty("next");
  });

  test.each([
    ["", ["a%b", "a_b", "ab", "aXb".toLowerCase()].toSorted()],
    ["a_", ["a_b"]],
    ["a%", ["a%b"]],
    ["a", ["a%b", "a_b", "ab", "axb"]],
    ["A", []],
    ["\\", []],
    ["\0", []],
  ])("the prefix %j is taken as it is", async (prefix, expected) => {
    const records = await open();
    for (const name of ["ab", "a_b", "axb", "a%b"]) await records.codespecs.put(name, codespec, isSameCodespec);
    const { items } = await records.codespecs.list({ limit: 10, prefix });
    expect(items.map(({ name }) => name)).toEqual(expected);
  });

  test("pages are newest first, without repeats or gaps, and the last has no continuation", async () => {
    const records = await open();
    const ids = (await twelveRuns(records)).toReversed();
    for (const filter of [{}, { statuses: RUN_STATUSES }, { tags: { all: "yes" } }]) {
      const { items, pages } = await pagesOf(records, { limit: 5, ...filter });
      expect(idsOf(items)).toEqual(ids);
      expect(pages).toBe(3);
    }
    expect((await pagesOf(records, { limit: 6 })).pages).toBe(2);
    expect(await records.runs.list({ limit: 0 })).toEqual({ items: [] });
  });

  test("a run that is added meanwhile does not shift a page", async () => {
    const records = await open();
    const ids = (await twelveRuns(records)).toReversed();
    const first = await records.runs.list({ limit: 5 });
    await createdId(records);
    const second = await records.runs.list({ limit: 5, after: first.next });
    expect(idsOf([...first.items, ...second.items])).toEqual(ids.slice(0, 10));
  });

  test("a list of large items is given in pieces of at least one, and of as many as fit", async () => {
    const records = await open();
    const sized = (kilobytes: number): JobCodespec => ({ ...codespec, args: ["x".repeat(kilobytes * 1000)] });
    const sizes = [700, 300, 1, 3000, 1, 1];
    for (const [place, kilobytes] of sizes.entries()) {
      await createdId(records, { job: { codespec: sized(kilobytes) } });
      await records.codespecs.put(`c${place}`, sized(kilobytes), isSameCodespec);
    }
    const piecesOf = async (list: (after?: string) => Promise<Page<{ id: number } | { name: string }>>) => {
      const pieces: (number | string)[][] = [];
      for (let after: string | undefined; ;) {
        const { items, next } = await list(after);
        pieces.push(items.map((item) => ("id" in item ? item.id : item.name)));
        if (next === undefined) return pieces;
        after = next;
      }
    };
    expect(await piecesOf((after) => records.runs.list({ limit: 20, after }))).toEqual([[6, 5], [4], [3, 2, 1]]);
    expect(await piecesOf((after) => records.runs.list({ limit: 2, after }))).toEqual([[6, 5], [4], [3, 2], [1]]);
    expect(await piecesOf((after) => records.codespecs.list({ limit: 20, after }))).toEqual([
      ["c0", "c1", "c2"],
      ["c3"],
      ["c4", "c5"],
    ]);
  });

  test.each<[string, RunFilter, number[]]>([
    ["one status", { statuses: ["Failed"] }, [5, 4]],
    ["any of several statuses", { statuses: ["Failed", "Succeeded"] }, [5, 4, 3, 2, 1, 0]],
    ["no status at all", { statuses: [] }, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]],
    ["one tag", { tags: { even: "yes" } }, [10, 8, 6, 4, 2, 0]],
    ["all of several tags", { tags: { all: "yes", even: "yes", third: "yes" } }, [6, 0]],
    ["a tag and a status", { tags: { third: "yes" }, statuses: ["Pending"] }, [9, 6]],
    ["another value", { tags: { even: "no" } }, []],
    ["a key that was never used", { tags: { unknown: "yes", all: "yes" } }, []],
    ["a key in another case", { tags: { Even: "yes" } }, []],
  ])("a list and counts by %s have the runs that match", async (_, filter, places) => {
    const records = await open();
    const ids = await twelveRuns(records);
    const { items } = await pagesOf(records, { limit: 2, ...filter });
    expect(idsOf(items)).toEqual(places.map((place) => ids[place]));
    const counts: Record<string, number> = {};
    for (const { status } of items) counts[status] = (counts[status] ?? 0) + 1;
    expect(await records.runs.counts(filter)).toEqual(counts);
  });

  test("since means strictly later than a time as it was shown", async () => {
    const records = await open();
    await twelveRuns(records);
    const all = (await records.runs.list({ limit: 20 })).items;
    const since = all[4]?.createdAt ?? "";
    for (const filter of [{ since }, { since, tags: { all: "yes" } }, { since, statuses: RUN_STATUSES }]) {
      expect((await records.runs.list({ limit: 20, ...filter })).items).toEqual(all.slice(0, 4));
      expect(await records.runs.counts(filter)).toEqual({ Pending: 4 });
    }
    const local = `${since.slice(0, -6).padEnd(26, "0")}999Z`;
    expect((await records.runs.list({ limit: 20, since: local })).items).toEqual(all.slice(0, 4));
    await expect(records.runs.list({ limit: 1, since: "today" })).rejects.toMatchObject({ code: "InvalidInput" });
  });

  test.each([
    "",
    "x",
    "🙂",
    "bnVsbA",
    Buffer.from('["2024",1]').toString("base64url"),
    "WyIyMDI0LTAxLTAxVDAwOjAwOjAwWiIsMS41XQ",
  ])("the continuation %j is refused: no list returned it", async (after) => {
    const records = await open();
    const refusal = expect.objectContaining({ code: "InvalidInput", message: expect.stringContaining(`'${after}'`) });
    await expect(records.runs.list({ limit: 1, after })).rejects.toEqual(refusal);
    await expect(records.codespecs.list({ limit: 1, after })).rejects.toEqual(refusal);
  });

  test("a created run is Pending, is found as its creation returned it, and has the given fields", async () => {
    const records = await open();
    const env = { Z: "1", A: "$(Z)", "10": "x" };
    const job = { codespec: { ...codespec, env }, buffers: { input: bufferId() }, nodePool: "cpu", replicas: 2 };
    const { run, created } = await records.runs.create(newRun({ job, replicaCount: 2, tags: { b: "2", a: "1" } }));
    expect(created).toBe(true);
    expect(run).toEqual({
      id: 1,
      status: "Pending",
      cluster: "docker",
      createdAt: expect.stringMatching(SHOWN),
      job,
      timeoutSeconds: 43_200,
      tags: { a: "1", b: "2" },
      bufferAccessTtl: "01:00:00",
      eTag: expect.stringMatching(/^\d+$/),
      replicaCount: 2,
      revision: 0,
      uid: expect.any(String),
    });
    expect(await records.runs.find(run.id)).toEqual(run);
    expect(Object.keys((await records.runs.find(1))?.job.codespec.env ?? {})).toEqual(Object.keys(env));
  });

  test("ids ascend, and a number that is not an id is not found", async () => {
    const records = await open();
    expect(await createdId(records)).toBeLessThan(await createdId(records));
    for (const id of [0, -1, 3, 1.5, 2 ** 60, Number.NaN, Infinity]) {
      expect(await records.runs.find(id)).toBeUndefined();
      expect(await records.runs.requestCancel(id)).toBeUndefined();
    }
  });

  test("twenty creates with one key make one run and one set of buffers", async () => {
    const records = await open();
    const idempotencyKey = { owner: "local", text: "k".repeat(10_000) };
    const ids = Array.from({ length: 20 }, bufferId);
    const answers = await twentyAtOnce((place) =>
      records.runs.create(newRun({ idempotencyKey, newBuffers: [{ id: ids[place] ?? "", location: "local" }] })),
    );
    expect(new Set(answers.map(({ run }) => run.id)).size).toBe(1);
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    expect(await records.runs.countOpen()).toBe(1);
    const found = await Promise.all(ids.map((id) => records.buffers.find(id)));
    expect(found.filter(Boolean)).toHaveLength(1);
  });

  test("the key of one caller is not the key of another, whatever their texts", async () => {
    const records = await open();
    const keys = [
      { owner: "local", text: "k" },
      { owner: "eve", text: "k" },
      { owner: "Eve", text: "k" },
      { owner: "local", text: '["eve","k"]' },
      { owner: "ev", text: "ek" },
    ];
    const created: number[] = [];
    for (const idempotencyKey of keys) {
      expect(await records.runs.findByKey(idempotencyKey)).toBeUndefined();
      created.push(await createdId(records, { idempotencyKey }));
    }
    expect(new Set(created).size).toBe(keys.length);
    for (const [place, key] of keys.entries()) {
      expect((await records.runs.findByKey(key))?.id).toBe(created[place]);
      expect(await createdId(records, { idempotencyKey: key })).toBe(created[place]);
    }
  });

  test("of twenty runs that are created at once with one output, one has it, and the others leave nothing", async () => {
    const records = await open();
    const job = jobWithOutputs(bufferId(), bufferId());
    const created = bufferId();
    const answers = await twentyAtOnce((place) =>
      records.runs
        .create(newRun({ job, newBuffers: [{ id: place === 0 ? created : bufferId(), location: "local" }] }))
        .catch((err: unknown) => err),
    );
    const refusals = answers.filter((answer) => answer instanceof Error);
    expect(refusals).toHaveLength(19);
    const { items } = await records.runs.list({ limit: 100 });
    expect(items).toHaveLength(1);
    const holder = expect.stringContaining(`the run '${items[0]?.id}'`);
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: "InvalidInput", message: holder });
  });

  test("twenty creates with one key and one output get the first run", async () => {
    const records = await open();
    const job = jobWithOutputs(bufferId());
    const answers = await twentyAtOnce(() =>
      records.runs.create(newRun({ idempotencyKey: { owner: "local", text: "key" }, job })),
    );
    expect(new Set(answers.map(({ run }) => run.id)).size).toBe(1);
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
  });

  test("an output of an open run can be the input of others", async () => {
    const records = await open();
    const [shared, other] = [bufferId(), bufferId()];
    await createdId(records, { job: jobWithOutputs(shared) });
    const reading = { codespec: { ...codespec, buffers: { inputs: ["in"] } }, buffers: { in: shared } };
    for (let readers = 0; readers < 2; readers += 1) await createdId(records, { job: reading });
    // And the input of an open run can become the output of another.
    await createdId(records, { job: { ...reading, buffers: { in: other } } });
    await createdId(records, { job: jobWithOutputs(other) });
    expect(await records.runs.countOpen()).toBe(5);
  });

  test("set tags replace all tags, in show, list, filters and counts, and give another eTag", async () => {
    const records = await open();
    const id = await createdId(records, { tags: { a: "1", b: "2" } });
    const before = await records.runs.find(id);
    const changed = await records.runs.setTags(id, { b: "3", c: "" });
    expect(changed).toMatchObject({ tags: { b: "3", c: "" }, revision: before?.revision });
    expect(changed?.eTag).not.toBe(before?.eTag);
    expect(await records.runs.find(id)).toEqual(changed);
    const foundBy = async (tags: Record<string, string>): Promise<unknown[]> => [
      (await records.runs.list({ limit: 9, tags })).items.map((run) => run.tags),
      await records.runs.counts({ tags }),
    ];
    expect(await foundBy({ b: "3" })).toEqual([[{ b: "3", c: "" }], { Pending: 1 }]);
    expect(await foundBy({ a: "1" })).toEqual([[], {}]);
    const cleared = await records.runs.setTags(id, {});
    expect(cleared).not.toHaveProperty("tags");
    // The same state has the same eTag again.
    expect((await records.runs.setTags(id, { b: "2", a: "1" }))?.eTag).toBe(before?.eTag);
  });

  test("a requested cancel is shown, listed and counted as Canceling, dated once", async () => {
    const records = await open();
    const id = await createdId(records, { tags: { t: "1" } });
    const before = await records.runs.find(id);
    const canceling = await records.runs.requestCancel(id);
    expect(canceling).toMatchObject({
      status: "Canceling",
      cancelRequestedAt: expect.stringMatching(SHOWN),
      revision: 1,
    });
    expect(canceling?.eTag).not.toBe(before?.eTag);
    const again = await twentyAtOnce(() => records.runs.requestCancel(id));
    for (const run of again) expect(run).toEqual(canceling);
    for (const tags of [{}, { t: "1" }]) {
      expect(await records.runs.counts({ tags })).toEqual({ Canceling: 1 });
      expect((await records.runs.list({ limit: 9, statuses: ["Canceling"], tags })).items).toHaveLength(1);
      expect((await records.runs.list({ limit: 9, statuses: ["Pending"], tags })).items).toEqual([]);
    }
    expect(await records.end(id, { status: "Canceled" })).toMatchObject({ status: "Canceled" });
    expect(await records.runs.counts({})).toEqual({ Canceled: 1 });
  });

  test("an end is recorded once", async () => {
    const records = await open();
    const id = await createdId(records);
    const ended = await records.end(id, { status: "Succeeded" });
    expect(await records.runs.find(id)).toEqual(ended);
    expect(await records.runs.requestCancel(id)).toEqual(ended);
    expect(await records.runs.countOpen()).toBe(0);
  });

  test("a listener is called for each run that changes until it is closed", async () => {
    const records = await open();
    const [first, second] = [await createdId(records), await createdId(records)];
    const heard: (number | undefined)[] = [];
    const listening = await records.runs.listen((runId) => heard.push(runId));
    onTestFinished(() => listening.close());
    await records.runs.requestCancel(second);
    await eventually(() => heard.includes(second));
    await records.runs.setTags(first, { a: "1" });
    await eventually(() => heard.includes(first));
    await listening.close();
    const count = heard.length;
    await records.end(first, { status: "Failed" });
    await stays(() => heard.length === count);
    expect(heard).not.toContain(undefined);
  });
}
