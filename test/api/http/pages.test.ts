import { mkdtemp, rm } from "node:fs/promises";
import { request, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeApi, type FakeApi } from "../../fakes/api.ts";
import { newRun } from "../../ports/records.ts";
import { eventually, stays } from "../../eventually.ts";

const PAGE_BYTES = 16 * 1024 * 1024;
const RUNS = 60;

let api: FakeApi;
let folder: string;
beforeEach(async () => {
  api = createFakeApi();
  folder = await mkdtemp(join(tmpdir(), "tyger-pages-"));
});
afterEach(async () => {
  await api.app.close();
  await rm(folder, { recursive: true });
});

/** Stores runs whose codespecs have `kilobytes` each. */
async function store(count: number, kilobytes: number): Promise<void> {
  const codespec = { kind: "job" as const, image: "ubuntu", args: ["x".repeat(kilobytes * 1000)] };
  for (let place = 0; place < count; place += 1) await api.runs.create(newRun({ job: { codespec } }));
}

async function page(url: string): Promise<{ ids: number[]; sizeBytes: number; nextLink?: string }> {
  const answer = await api.app.inject({ method: "GET", url });
  expect([answer.statusCode, answer.headers["content-type"]]).toEqual([200, "application/json; charset=utf-8"]);
  const { items, ...rest } = answer.json<{ items: { id: number }[]; nextLink?: string }>();
  return { ids: items.map(({ id }) => id), sizeBytes: Buffer.byteLength(answer.body), ...rest };
}

test.each([
  [900, 18],
  [3600, 4],
])("pages of runs of %d kB end early, before 16 MiB, and their links lead to all of them", async (kilobytes, most) => {
  await store(RUNS, kilobytes);
  const ids: number[] = [];
  for (let url: string | undefined = `/runs?limit=${RUNS}&api-version=1.0`; url !== undefined;) {
    const { nextLink, ...shown }: Awaited<ReturnType<typeof page>> = await page(url);
    expect(shown.sizeBytes).toBeLessThan(PAGE_BYTES);
    expect(shown.ids.length).toBe(nextLink === undefined ? RUNS % most || most : most);
    ids.push(...shown.ids);
    url = nextLink;
  }
  expect(ids).toEqual(Array.from({ length: RUNS }, (_, place) => RUNS - place));
});

test("a page has no more items than its limit, of however many pieces it is made", async () => {
  await store(5, 900);
  expect((await page("/runs?limit=3&api-version=1.0")).ids).toEqual([5, 4, 3]);
  expect(await page("/runs?limit=5&api-version=1.0")).not.toHaveProperty("nextLink");
});

test("items that go while a page is made leave a page that is whole", async () => {
  await store(3, 900);
  const { list } = api.runs;
  api.runs.list = async (query) => (query.after === undefined ? list(query) : { items: [] });
  const shown = await page("/runs?limit=3&api-version=1.0");
  expect(shown).toMatchObject({ ids: [3] });
  expect(shown).not.toHaveProperty("nextLink");
});

test("a page whose first piece cannot be read is an error answer, and one that breaks off later is cut", async () => {
  await store(3, 900);
  const { list } = api.runs;
  let count = 0;
  api.runs.list = async (query) => {
    count += 1;
    if (count % 2 === 0) throw new Error("the database has gone");
    return list(query);
  };
  await expect(api.app.inject({ method: "GET", url: "/runs?api-version=1.0" })).rejects.toThrow("response destroyed");
  count = 1;
  expect((await api.app.inject({ method: "GET", url: "/runs?api-version=1.0" })).statusCode).toBe(500);
});

test("a page is read no faster than its client reads it, and a server that stops sends it whole", async () => {
  await store(RUNS, 900);
  const { list } = api.runs;
  let pieces = 0;
  api.runs.list = async (query) => {
    pieces += 1;
    return list(query);
  };
  const socketPath = join(folder, "api.sock");
  await api.app.listen({ path: socketPath });
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ socketPath, path: "/runs?limit=10&api-version=1.0" }, resolve).on("error", reject).end();
  });
  await eventually(() => pieces > 0);
  await stays(() => pieces <= 3);
  const closing = api.app.close();
  let text = "";
  for await (const chunk of answer.setEncoding("utf8")) text += String(chunk);
  await closing;
  expect((JSON.parse(text) as { items: unknown[] }).items).toHaveLength(10);
});
