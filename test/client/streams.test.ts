import { afterEach, beforeEach, expect, test } from "vitest";
import { type Tyger, connect } from "../../client/index.ts";
import { eventually } from "../eventually.ts";
import { FakeServer } from "../fakes/tyger-server.ts";

let server: FakeServer;
let client: Tyger;
beforeEach(async () => {
  server = await new FakeServer().start();
  client = await connect({ server: `unix://${server.socketPath}` });
});
afterEach(() => server.stop());

const at = (second: number): string => `2026-01-01T00:00:0${second}.000000000Z`;
const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
};

test("a log is lines with their times", async () => {
  const lines = `${at(1)} one\n0001-01-01T00:00:00.000000000Z no time\n${at(2)} [job-0] two words\n${at(3)} cut`;
  server.on("GET", /logs/, (_request, response) => response.end(lines));
  expect(await all(client.runs.logs(7))).toEqual([
    { timestamp: at(1), text: "one" },
    { timestamp: undefined, text: "no time" },
    { timestamp: at(2), text: "[job-0] two words" },
    { timestamp: at(3), text: "cut" },
  ]);
  expect(server.seen[0]?.url).toBe("/runs/7/logs?api-version=1.0&timestamps=true");
});

test("a followed log is resumed after its last whole line", async () => {
  const reopened: unknown[] = [];
  const parts = [`${at(1)} one\n${at(2)} two\n${at(3)} brok`, `${at(3)} broken\n${at(4)} end`];
  server.on("GET", /logs/, (_request, response) => {
    const part = parts[server.seen.length - 1] ?? "";
    if (server.seen.length === parts.length) return response.end(part);
    response.write(part);
    return setImmediate(() => response.destroy());
  });
  const options = { follow: true, tailLines: 5, onReopen: (err: unknown) => reopened.push(err) };
  expect(Buffer.concat(await all(client.runs.logBytes(7, options))).toString()).toBe("one\ntwo\nbroken\nend");
  expect(server.seen.map(({ url }) => url)).toEqual([
    "/runs/7/logs?api-version=1.0&follow=true&tailLines=5&timestamps=true",
    `/runs/7/logs?api-version=1.0&follow=true&since=${encodeURIComponent(at(2))}&timestamps=true`,
  ]);
  expect(reopened).toHaveLength(1);
});

test("a watch that breaks is opened again", async () => {
  server.run = { id: 7, status: "Running" };
  const seen: string[] = [];
  const reopened: unknown[] = [];
  const watching = (async () => {
    for await (const { status } of client.runs.watch(7, { onReopen: (err) => reopened.push(err) })) seen.push(status);
  })();
  for (const count of [1, 2, 3]) {
    await eventually(() => seen.length === count);
    server.cutWatches();
  }
  await eventually(() => seen.length === 4);
  server.changeRun({ status: "Succeeded" });
  await watching;
  expect(seen).toEqual(["Running", "Running", "Running", "Running", "Succeeded"]);
  expect(reopened).toHaveLength(3);
});

test("a watch that ends twice with nothing is an error, and a run that does not exist is one at once", async () => {
  server.on("GET", /^\/runs\/7\?/, (_request, response) => response.end());
  await expect(all(client.runs.watch(7))).rejects.toThrow("the watch ended before the run did");
  expect(server.seen).toHaveLength(2);
  await expect(all(client.runs.watch(8))).rejects.toMatchObject({ code: "NotFound" });
  expect(server.seen).toHaveLength(3);
});
