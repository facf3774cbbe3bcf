import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Tyger, connect } from "../../client/index.ts";
import { createFakeApi, type FakeApi } from "../fakes/api.ts";
import { newRun } from "../ports/records.ts";

/** The client and the real routes, over ports in memory. */
let api: FakeApi;
let client: Tyger;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tyger-client-app-"));
  api = createFakeApi();
  await api.app.listen({ path: join(folder, "api.sock") });
  client = await connect({ server: `unix://${folder}/api.sock` });
});
afterEach(async () => {
  await api.app.close();
  await rm(folder, { recursive: true });
});

const ids = async (items: AsyncIterable<{ id: number }>): Promise<number[]> => {
  const found: number[] = [];
  for await (const { id } of items) found.push(id);
  return found;
};

test("codespecs, buffers and runs, from their creation to their end", async () => {
  const { codespecs, buffers, runs } = client;
  const first = await codespecs.create("c", { kind: "job", image: "ubuntu", buffers: { inputs: ["in"] } });
  expect(first).toMatchObject({ name: "c", version: 1, image: "ubuntu" });
  expect(await codespecs.show("c", { version: 1 })).toEqual(first);
  for await (const { name } of codespecs.list({ prefix: "c" })) expect(name).toBe("c");

  const buffer = await buffers.create({ tags: { a: "b" } });
  expect(await buffers.show(buffer.id)).toEqual(buffer);
  expect(await buffers.access(buffer.id, { writeable: true })).toContain(buffer.id);
  expect(api.grants.at(-1)).toMatchObject({ writeable: true });

  const run = await runs.create({ job: { codespec: "c", buffers: { in: buffer.id } }, tags: { t: "1" } });
  expect(run).toMatchObject({ status: "Pending", job: { buffers: { in: buffer.id } } });
  expect(await ids(runs.list({ tags: { t: "1" } }))).toEqual([run.id]);
  expect(await runs.counts()).toEqual({ pending: 1 });
  const watching = (async () => {
    const statuses: string[] = [];
    for await (const { status } of runs.watch(run.id)) {
      statuses.push(status);
      if (status === "Pending") api.change(run.id, { status: "Succeeded" });
    }
    return statuses;
  })();
  expect(await watching).toEqual(["Pending", "Succeeded"]);
  expect(await runs.cancel(run.id)).toMatchObject({ status: "Succeeded" });
});

test("set adds to the tags of a run, or replaces them", async () => {
  const { runs } = client;
  const { id, eTag } = await runs.create({
    job: { codespec: { kind: "job", image: "ubuntu" } },
    tags: { a: "1", b: "2" },
  });
  const changed = await runs.set(id, { tags: { b: "3", c: "4" }, eTag });
  expect(changed).toMatchObject({ id, tags: { a: "1", b: "3", c: "4" } });
  expect(await runs.set(id, { tags: { d: "5" }, clearTags: true })).toMatchObject({ tags: { d: "5" } });
  expect(await runs.set(id, { clearTags: true })).not.toHaveProperty("tags");
  for (const clearTags of [false, true]) {
    const stale = runs.set(id, { tags: { e: "6" }, clearTags, eTag });
    await expect(stale).rejects.toMatchObject({ name: "ETagMismatchError", code: "PreconditionFailed" });
  }
  expect(await runs.show(id)).not.toHaveProperty("tags");
});

test("tags that are set at once are all kept", async () => {
  const { runs } = client;
  const { id } = await runs.create({ job: { codespec: { kind: "job", image: "ubuntu" } } });
  const keys = ["a", "b", "c", "d", "e"];
  await Promise.all(keys.map((key) => runs.set(id, { tags: { [key]: "1" } })));
  expect(Object.keys((await runs.show(id)).tags ?? {}).sort()).toEqual(keys);
});

test("a list goes over as many pages as there are", async () => {
  for (let count = 0; count < 5; count++) {
    await client.runs.create({ job: { codespec: { kind: "job", image: "ubuntu" } } });
  }
  expect(await ids(client.runs.list({ pageSize: 2 }))).toEqual([5, 4, 3, 2, 1]);
  expect(await ids(client.runs.list({ limit: 3 }))).toEqual([5, 4, 3]);
});

test("a limit that the server refuses is its error", async () => {
  await expect(ids(client.runs.list({ limit: -1 }))).rejects.toMatchObject({ code: "InvalidInput", status: 400 });
});

test("an id that does not exist is NotFound everywhere", async () => {
  const { buffers, codespecs, runs } = client;
  const calls = [
    buffers.show("x"),
    codespecs.show("x"),
    runs.show(99),
    runs.cancel(99),
    runs.set(99, {}),
    runs.logs(99).next(),
  ];
  for (const call of calls) await expect(call).rejects.toMatchObject({ code: "NotFound" });
});

test("over TCP, below a path, the same calls reach the same routes", async () => {
  const far = createFakeApi();
  try {
    const url = await far.app.listen({ host: "127.0.0.1", port: 0 });
    const { runs } = await connect({ server: `${url}/v1` });
    expect(await runs.create({ job: { codespec: { kind: "job", image: "ubuntu" } } })).toMatchObject({ id: 1 });
    expect(await ids(runs.list())).toEqual([1]);
  } finally {
    await far.app.close();
  }
});

test("pages that end before their limit, because their items are large, are one list", async () => {
  const codespec = { kind: "job" as const, image: "ubuntu", args: ["x".repeat(1_000_000)] };
  for (let place = 0; place < 20; place += 1) {
    await client.codespecs.create(`c${place + 10}`, codespec);
    await api.runs.create(newRun({ job: { codespec } }));
  }
  const newest = Array.from({ length: 20 }, (_, place) => 20 - place);
  const lengths: number[] = [];
  for await (const { items } of client.runs.list({ limit: 20 }).pages()) lengths.push(items.length);
  expect(lengths).toEqual([16, 4]);
  expect(await ids(client.runs.list())).toEqual(newest);
  expect(await ids(client.runs.list({ limit: 18 }))).toEqual(newest.slice(0, 18));
  const names: string[] = [];
  for await (const { name } of client.codespecs.list({ limit: 19 })) names.push(name);
  expect(names).toEqual(Array.from({ length: 19 }, (_, place) => `c${place + 10}`));
});
