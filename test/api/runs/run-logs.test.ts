import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CodedError } from "../../../model/errors.ts";
import type { LogLine } from "../../../model/ports/log.ts";
import { atRest, eventually, stays } from "../../eventually.ts";
import { createFakeApi, type FakeApi } from "../../fakes/api.ts";

let api: FakeApi;
/** The lines that the container has written so far. */
let written: LogLine[];
let containerHasEnded: boolean;
let isContainerThere: boolean;

const instantOf = (n: number): string => `2024-01-01T00:00:00.${String(n).padStart(9, "0")}Z`;
const line = (n: number): LogLine => ({ at: instantOf(n), bytes: Buffer.from(`line ${n}\n`) });
const textOf = (...numbers: number[]): string => numbers.map((n) => `line ${n}\n`).join("");

beforeEach(async () => {
  api = createFakeApi();
  written = [];
  containerHasEnded = false;
  isContainerThere = true;
  api.liveLogs = async function* (_run, { follow = false, tailLines, since = "" }, signal) {
    if (!isContainerThere) return;
    const all = written.filter(({ at }) => at > since);
    let passed = written.length;
    const hasNews = (): boolean => written.length > passed || containerHasEnded || !isContainerThere || signal.aborted;
    yield tailLines === undefined ? all : all.slice(all.length - tailLines);
    for (;;) {
      if (!follow || signal.aborted || !isContainerThere) return;
      const fresh = written.slice(passed);
      passed = written.length;
      if (fresh.length > 0) yield fresh;
      else if (containerHasEnded) return;
      else await eventually(hasNews, { everyMs: 2 }).catch(() => undefined);
    }
  };
  await api.app.inject({
    method: "POST",
    url: "/runs?api-version=1.0",
    payload: { job: { codespec: { kind: "job", image: "ubuntu" } } },
  });
});
afterEach(() => api.app.close());

const logs = (query = "") => api.app.inject({ method: "GET", url: `/runs/1/logs?api-version=1.0${query}` });

const archive = (): void => {
  api.archived.set(1, [...written]);
  api.change(1, { archivedAt: "2024-01-01T00:00:00+00:00" });
  isContainerThere = false;
};

describe("the log of a run", () => {
  test("is empty while there is no container, and 404 only for an unknown run", async () => {
    isContainerThere = false;
    const answer = await logs();
    expect([answer.statusCode, answer.body, answer.headers["content-type"]]).toEqual([
      200,
      "",
      "text/plain; charset=utf-8",
    ]);
    expect((await api.app.inject({ method: "GET", url: "/runs/9/logs?api-version=1.0" })).statusCode).toBe(404);
  });

  test.each([
    ["", [1, 2, 3]],
    ["&tailLines=2", [2, 3]],
    ["&tailLines=0", []],
    [`&since=${encodeURIComponent(" 2024-01-01T00:00:00.000000001Z ")}`, [2, 3]],
    ["&since=2024-01-01T01:00:00.000000002%2B01:00", [3]],
    ["&since=2024-01-01T00:00:00.000000002Z&tailLines=5", [3]],
  ])("with '%s' is the same from the engine and from the archive", async (query, expected) => {
    written = [1, 2, 3].map(line);
    expect((await logs(query)).body).toBe(textOf(...expected));
    api.change(1, { status: "Succeeded" });
    expect((await logs(query)).body).toBe(textOf(...expected));
    archive();
    expect((await logs(query)).body).toBe(textOf(...expected));
    expect((await logs(`${query}&follow=true`)).body).toBe(textOf(...expected));
  });

  test("has an instant before each line on request", async () => {
    written = [line(1), { at: "0001-01-01T00:00:00.000000000Z", bytes: Buffer.from("no instant") }];
    expect((await logs("&timestamps=true")).body).toBe(
      `${instantOf(1)} line 1\n0001-01-01T00:00:00.000000000Z no instant`,
    );
  });

  test("is whole when the archive replaces the engine in the middle of the answer", async () => {
    written = Array.from({ length: 6 }, (_, n) => line(n));
    api.change(1, { status: "Succeeded" });
    api.liveLogs = async function* () {
      yield written.slice(0, 2);
      archive();
    };
    expect((await logs()).body).toBe(textOf(0, 1, 2, 3, 4, 5));
  });

  test("is whole when the container is removed between two checks", async () => {
    written = [line(1), line(2)];
    api.change(1, { status: "Succeeded" });
    api.liveLogs = async function* () {
      yield [];
      archive();
    };
    expect((await logs("&tailLines=1")).body).toBe(textOf(2));
  });

  test("is an error while the engine is down", async () => {
    api.liveLogs = async function* () {
      yield [];
      throw new CodedError("Unavailable", "The engine does not answer");
    };
    const answer = await logs();
    expect([answer.statusCode, answer.json().error.code]).toEqual([503, "Unavailable"]);
  });

  test("with a negative number of lines is refused", async () => {
    expect((await logs("&tailLines=-1")).json().error.code).toBe("InvalidInput");
  });
});

describe("a followed log", () => {
  interface Follow {
    answer: IncomingMessage;
    text: () => string;
    ended: Promise<boolean>;
    hasEnded: () => boolean;
  }

  async function follow(query = ""): Promise<Follow> {
    await api.app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = api.app.server.address() as { port: number };
    const sent = request({ port, path: `/runs/1/logs?api-version=1.0&follow=true${query}` }).end();
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    let text = "";
    answer.setEncoding("utf8").on("data", (part: string) => (text += part));
    const ended = new Promise<boolean>((resolve) => {
      answer.on("error", () => undefined).on("close", () => resolve(answer.complete));
    });
    let isOver = false;
    void ended.then(() => (isOver = true));
    return { answer, text: () => text, ended, hasEnded: () => isOver };
  }

  test("sends its headers before there is a container, then each line as it appears, and ends with the run", async () => {
    isContainerThere = false;
    const { answer, text, ended } = await follow();
    expect(answer.statusCode).toBe(200);
    isContainerThere = true;
    written.push(line(1));
    api.change(1, { status: "Running" });
    await eventually(() => text() === textOf(1));
    written.push(line(2));
    await eventually(() => text() === textOf(1, 2));
    written.push(line(3));
    containerHasEnded = true;
    await eventually(() => text() === textOf(1, 2, 3));
    api.change(1, { status: "Succeeded" });
    expect(await ended).toBe(true);
    expect(text()).toBe(textOf(1, 2, 3));
  });

  test("ends when the run was canceled before anything was started", async () => {
    isContainerThere = false;
    const { text, ended } = await follow();
    api.change(1, { status: "Canceled" });
    expect(await ended).toBe(true);
    expect(text()).toBe("");
  });

  test("ends a few seconds after the run although its container keeps running", async () => {
    written = [line(1)];
    const { text, ended, hasEnded } = await follow();
    await eventually(() => text() === textOf(1));
    api.change(1, { status: "Canceled" });
    // Before it would read the run again without being told.
    await eventually(() => hasEnded());
    expect(await ended).toBe(true);
    expect(text()).toBe(textOf(1));
  });

  test("loses and repeats nothing through outages of the engine and the change to the archive", async () => {
    const live = api.liveLogs;
    let calls = 0;
    api.liveLogs = async function* (run, query, signal) {
      calls += 1;
      for await (const lines of live(run, query, signal)) {
        yield lines;
        if (calls < 5) throw new CodedError("Unavailable", "The engine broke the stream");
      }
    };
    // One instant is left free for a line that comes late.
    const late = 19_990;
    const numbers = Array.from({ length: 20_006 }, (_, n) => n).filter((n) => n !== late);
    written = numbers.filter((n) => n < 20_000).map(line);
    const { text, ended } = await follow();
    for (let n = 20_000; n < 20_005; n++) {
      written.push(line(n));
      await eventually(() => text().endsWith(textOf(n)));
    }
    // These two are only in the archive; one of them is dated a little before what was given.
    written.splice(late, 0, line(late));
    written.push(line(20_005));
    archive();
    api.change(1, { status: "Succeeded" });
    expect(await ended).toBe(true);
    expect(text()).toBe(textOf(...numbers.filter((n) => n < 20_005), late, 20_005));
  });

  test("that starts with the last lines continues after them", async () => {
    written = [1, 2, 3].map(line);
    const { text, ended } = await follow("&tailLines=1");
    await eventually(() => text() === textOf(3));
    written.push(line(4));
    await eventually(() => text() === textOf(3, 4));
    archive();
    api.change(1, { status: "Failed" });
    expect(await ended).toBe(true);
    expect(text()).toBe(textOf(3, 4));
  });

  test("is not read from the engine faster than its client reads it", async () => {
    let batches = 0;
    api.liveLogs = async function* (_run, _query, signal) {
      while (!signal.aborted) {
        batches += 1;
        yield [{ at: instantOf(batches), bytes: Buffer.alloc(1024 * 1024, "x") }];
        await new Promise(setImmediate);
      }
    };
    const { answer } = await follow();
    answer.pause();
    // It continues for as long as a buffer between the engine and this client has room.
    const most = await atRest(() => batches);
    await stays(() => batches === most);
    expect(answer.complete).toBe(false);
    answer.destroy();
  });
});
