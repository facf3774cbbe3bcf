import { beforeEach, expect, test } from "vitest";
import { OpenWorkflows } from "../../../runs/repair/open-workflows.ts";

const runs = (...ids: number[]) => new Map(ids.map((id) => [id, { id, uid: `uid-${id}` }]));

let nowMs = 0;
let lists = 0;
let open = runs();
const workflows = {
  openRuns: async () => {
    lists += 1;
    return open;
  },
  countOpen: async () => open.size,
};
let listed: OpenWorkflows;
beforeEach(() => {
  [nowMs, lists, open] = [0, 0, runs(1, 2)];
  listed = new OpenWorkflows(() => nowMs);
});

const read = async (openRows: number) => [...(await listed.read(workflows, openRows)).keys()];

test("while there are as many workflows as rows, a list is read again for half a minute", async () => {
  expect(await read(2)).toEqual([1, 2]);
  nowMs = 29_999;
  expect(await read(2)).toEqual([1, 2]);
  expect(lists).toBe(1);
  nowMs = 30_000;
  open = runs(1, 3);
  expect(await read(2)).toEqual([1, 3]);
});

test.each([
  ["a workflow was closed", runs(1), 2],
  ["a workflow has no row", runs(1, 2, 3), 2],
  ["a run has ended", runs(1, 2), 1],
  ["as many runs have begun as workflows", runs(1, 2, 3), 3],
])("a new list is made when %s", async (_case, then, rows) => {
  await read(2);
  open = then;
  expect(await read(rows)).toEqual([...then.keys()]);
});

test("nothing is read from an empty list that was never made", async () => {
  open = runs();
  await read(0);
  expect(lists).toBe(1);
});
