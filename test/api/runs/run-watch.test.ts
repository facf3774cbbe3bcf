import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Run } from "../../../model/run/run.ts";
import { eventually, turns } from "../../eventually.ts";
import { createFakeApi, type FakeApi } from "../../fakes/api.ts";

let api: FakeApi;
let port: number;
beforeEach(async () => {
  api = createFakeApi();
  await api.app.listen({ host: "127.0.0.1", port: 0 });
  port = (api.app.server.address() as { port: number }).port;
  await api.app.inject({
    method: "POST",
    url: "/runs?api-version=1.0",
    payload: { job: { codespec: { kind: "job", image: "ubuntu" } } },
  });
});
afterEach(() => api.app.close());

interface Watch {
  answer: IncomingMessage;
  lines: string[];
  /** Resolves to whether the answer came to its regular end. */
  ended: Promise<boolean>;
}

async function watch(id = 1): Promise<Watch> {
  const sent = request({ port, path: `/runs/${id}?api-version=1.0&watch=true` }).end();
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  const lines: string[] = [];
  let rest = "";
  answer.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  });
  const ended = new Promise<boolean>((resolve) => {
    answer.on("error", () => undefined).on("close", () => resolve(answer.complete && rest === ""));
  });
  return { answer, lines, ended };
}

const statusesOf = (lines: string[]): string[] => lines.map((line) => (JSON.parse(line) as Run).status);

test("a watch shows the current state at once, then each change, and ends with the terminal one", async () => {
  const { answer, lines, ended } = await watch();
  expect(answer.statusCode).toBe(200);
  expect(answer.headers["content-type"]).toBe("application/json; charset=utf-8");
  expect(answer.headers["transfer-encoding"]).toBe("chunked");
  await eventually(() => lines.length === 1);
  api.change(1, { status: "Running" });
  await eventually(() => lines.length === 2);
  // Neither a change that clients do not see nor an empty notification gives a line.
  api.change(1, { revision: 5, eTag: "x" });
  const shown = (await api.app.inject({ method: "GET", url: "/runs/1?api-version=1.0" })).json();
  api.runRows.set(1, { ...api.runRows.get(1)!, archivedAt: "x" });
  api.announce(1);
  api.announce(undefined);
  expect(shown.status).toBe("Running");
  api.change(1, { status: "Succeeded" });
  expect(await ended).toBe(true);
  expect(statusesOf(lines).at(-1)).toBe("Succeeded");
  expect(new Set(lines).size).toBe(lines.length);
});

test("a change between two reads is not lost: the first line is followed by a second read", async () => {
  // Another watch has begun to listen before.
  const other = await watch();
  await eventually(() => other.lines.length === 1);
  const find = (id: number) => Promise.resolve(api.runRows.get(id));
  let looks = 0;
  api.runs.find = async (id) => {
    const row = await find(id);
    // Changed right after it was read, before any watch could listen.
    if (looks++ === 0) api.runRows.set(id, { ...row!, status: "Failed" });
    return row;
  };
  const { lines, ended } = await watch();
  // Before it would read the run again without being told.
  await eventually(() => lines.length === 2);
  expect(await ended).toBe(true);
  expect(statusesOf(lines)).toEqual(["Pending", "Failed"]);
});

test("a finished run is one line", async () => {
  api.change(1, { status: "Canceled" });
  const { lines, ended } = await watch();
  expect(await ended).toBe(true);
  expect(statusesOf(lines)).toEqual(["Canceled"]);
});

test("an unknown run is a 404 before any line", async () => {
  const { answer, ended } = await watch(7);
  expect(answer.statusCode).toBe(404);
  await ended;
});

test("a watch survives an outage of the database", async () => {
  const { lines, ended } = await watch();
  await eventually(() => lines.length === 1);
  const { find } = api.runs;
  let failures = 0;
  api.runs.find = (id) =>
    find(id).catch((err: unknown) => {
      failures += 1;
      throw err;
    });
  api.isAway = true;
  api.change(1, { status: "Running" });
  api.change(1, { status: "Succeeded" });
  await eventually(() => failures > 0);
  expect(lines).toHaveLength(1);
  api.isAway = false;
  expect(await ended).toBe(true);
  expect(statusesOf(lines).at(-1)).toBe("Succeeded");
});

test("states do not pile up for a client that does not read, and it gets the last one", async () => {
  const { answer, lines, ended } = await watch();
  await eventually(() => lines.length === 1);
  answer.pause();
  let finds = 0;
  const { find } = api.runs;
  api.runs.find = (id) => {
    finds += 1;
    return find(id);
  };
  const reason = "x".repeat(128 * 1024);
  // More in all than the sockets between us hold.
  for (let i = 0; i < 100; i++) {
    api.change(1, { status: "Running", statusReason: `${i} ${reason}` });
    await turns(10);
  }
  expect(finds).toBeLessThan(50);
  api.change(1, { status: "Succeeded", statusReason: "done" });
  answer.resume();
  expect(await ended).toBe(true);
  expect(statusesOf(lines).at(-1)).toBe("Succeeded");
});

test("the server forgets a client that disconnects", async () => {
  const { answer, lines } = await watch();
  await eventually(() => lines.length === 1);
  answer.destroy();
  let finds = 0;
  const { find } = api.runs;
  api.runs.find = (id) => {
    finds += 1;
    return find(id);
  };
  const looksAfterChange = async (): Promise<number> => {
    finds = 0;
    api.change(1, { statusReason: `${Math.random()}` });
    await turns(20);
    return finds;
  };
  await eventually(async () => (await looksAfterChange()) === 0);
  expect(await looksAfterChange()).toBe(0);
});

test("closing the app cuts a watch, and the client can tell that it is cut", async () => {
  const { lines, ended } = await watch();
  await eventually(() => lines.length === 1);
  await api.app.close();
  expect(await ended).toBe(false);
});
