import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { EngineRefusal } from "../../../docker/engine/engine-call.ts";
import { connectEngine, type Engine } from "../../../docker/engine/engine.ts";

/** An engine that answers as a test wants it to; `asked` is what it was asked. */
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let asked: { line: string; body: string; type: string | undefined }[];
const server = createServer((request, response) => {
  void text(request).then((body) => {
    const line = `${request.method} ${decodeURIComponent(request.url ?? "")}`;
    asked.push({ line, body, type: request.headers["content-type"] });
    answer(request, response);
  });
});
let folder: string;
let engine: Engine;
const host = () => `unix://${join(folder, "docker.sock")}`;

beforeEach(async () => {
  asked = [];
  answer = (_request, response) => void response.end("{}");
  folder = await mkdtemp(join(tmpdir(), "tyger-engine-"));
  await new Promise<void>((resolve) => void server.listen(join(folder, "docker.sock"), resolve));
  engine = connectEngine(host());
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});

const says = (status: number, body: string) => (_request: IncomingMessage, response: ServerResponse) =>
  void response.writeHead(status).end(body);

describe("a call", () => {
  test("has its options in the query, its filters as JSON and its body as JSON", async () => {
    answer = says(200, '{"Id":"id"}');
    expect(await engine.create("name", { Image: "ubuntu" })).toBe("id");
    await engine.create(undefined, { Image: "ubuntu" });
    answer = says(200, "[]");
    await engine.list({ a: "1", b: "2" });
    expect(asked).toEqual([
      { line: "POST /containers/create?name=name", body: '{"Image":"ubuntu"}', type: "application/json" },
      { line: "POST /containers/create", body: '{"Image":"ubuntu"}', type: "application/json" },
      { line: 'GET /containers/json?all=true&filters={"label":["a=1","b=2"]}', body: "", type: undefined },
    ]);
  });

  test("without a body sends none, and an answer without a body is fine", async () => {
    answer = says(204, "");
    await engine.start("id");
    expect(asked).toEqual([{ line: "POST /containers/id/start", body: "", type: undefined }]);
  });

  test("that is refused gives the engine's own words and status", async () => {
    answer = says(409, '{"message":"in use"}');
    await expect(engine.start("id")).rejects.toThrow(new EngineRefusal(409, "in use"));
    answer = says(502, "a proxy");
    await expect(engine.start("id")).rejects.toThrow(new EngineRefusal(502, "a proxy"));
    answer = says(400, "");
    await expect(engine.start("id")).rejects.toThrow("status 400");
  });

  test.each([
    [503, '{"message":"starting"}'],
    [500, '{"message":"rpc: transport is closing"}'],
  ])("to an engine that is going down (%i %s) is Unavailable", async (status, body) => {
    answer = says(status, body);
    await expect(engine.start("id")).rejects.toMatchObject({ code: "Unavailable" });
  });

  test("that is broken off in the middle of its answer is Unavailable", async () => {
    answer = (_request, response) => {
      response.write("{");
      setImmediate(() => response.destroy());
    };
    await expect(engine.inspect("id")).rejects.toMatchObject({ code: "Unavailable" });
  });

  test("that is not answered in time is Unavailable", async () => {
    answer = () => undefined;
    await expect(engine.ping(20)).rejects.toThrow(`The Docker engine at '${host()}' does not answer: no answer within`);
  });

  test("to no engine says why it cannot be reached", async () => {
    await expect(connectEngine("unix:///nowhere.sock").ping(1000)).rejects.toThrow(
      "The Docker engine at 'unix:///nowhere.sock' does not answer: there is no such socket",
    );
  });
});

describe("a container that does not exist", () => {
  beforeEach(() => {
    answer = says(404, '{"message":"No such container: id"}');
  });

  test("is undefined or done", async () => {
    expect(await engine.inspect("id")).toBeUndefined();
    expect(await engine.hasImage("ubuntu")).toBe(false);
    await engine.stop("id", 1);
    await engine.remove("id", { force: true });
    await expect(engine.start("id")).rejects.toThrow("No such container: id");
  });

  test("is undefined in the words of other engines, too", async () => {
    answer = says(
      404,
      '{"cause":"no such container","message":"no container with name or ID \\"id\\" found: no such container"}',
    );
    expect(await engine.inspect("id")).toBeUndefined();
  });

  test.each(["<h1>Not Found</h1>", "", '{"message":"page not found"}', '{"error":404}'])(
    "is not known to be missing by the 404 '%s' of another program",
    async (body) => {
      answer = says(404, body);
      const unavailable = { code: "Unavailable" };
      await expect(engine.inspect("id")).rejects.toMatchObject(unavailable);
      await expect(engine.stop("id", 1)).rejects.toMatchObject(unavailable);
      await expect(engine.remove("id", { force: true })).rejects.toMatchObject(unavailable);
    },
  );

  test("and a proxy's 404 is not taken for a missing image", async () => {
    answer = says(404, '{"message":"No such image: ubuntu:latest"}');
    expect(await engine.hasImage("ubuntu")).toBe(false);
    answer = says(404, "<h1>Not Found</h1>");
    await expect(engine.hasImage("ubuntu")).rejects.toMatchObject({ code: "Unavailable" });
  });

  test("and what is being removed counts as removed", async () => {
    answer = says(409, '{"message":"removal of container id is already in progress"}');
    await engine.remove("id", { force: true });
    answer = says(409, '{"message":"it is running"}');
    await expect(engine.remove("id", { force: false })).rejects.toThrow("it is running");
  });
});

describe("a pull", () => {
  test("passes on each step, whatever pieces it comes in, and asks for the latest image unless a tag is given", async () => {
    const steps: unknown[] = [];
    answer = (_request, response) => {
      response.write('{"status":"Pulling"}\n{"status":"Wait');
      setImmediate(() => response.end('ing","id":"layer"}\n{"progress":1}\n{"status":"Done"}'));
    };
    await engine.pullImage("ubuntu", (step) => steps.push(step));
    expect(steps).toEqual([{ status: "Pulling" }, { status: "Waiting", layer: "layer" }, { status: "Done" }]);
    answer = says(200, "");
    await engine.pullImage("host:5000/ubuntu:24.04", () => {});
    expect(asked.map(({ line }) => line)).toEqual([
      "POST /images/create?fromImage=ubuntu&tag=latest",
      "POST /images/create?fromImage=host:5000/ubuntu:24.04",
    ]);
  });

  test.each([
    ["at once", says(404, '{"message":"no such image"}')],
    ["on the way", says(200, '{"status":"Pulling"}\n{"errorDetail":{},"error":"no such image"}\n')],
  ])("that fails %s is refused with the reason", async (_when, says) => {
    answer = says;
    const failure = await engine.pullImage("ubuntu", () => {}).catch((err: unknown) => err);
    expect(failure).toBeInstanceOf(EngineRefusal);
    expect(failure).toMatchObject({ message: "no such image" });
  });

  test("that breaks off is Unavailable", async () => {
    answer = (_request, response) => {
      response.write('{"status":"Pulling"}\n');
      setImmediate(() => response.destroy());
    };
    await expect(engine.pullImage("ubuntu", () => {})).rejects.toMatchObject({ code: "Unavailable" });
  });
});

test("an image is made of an archive", async () => {
  answer = says(200, '{"status":"sha256:1"}\n');
  await engine.importImage("ubuntu", Readable.from([Buffer.from("a "), Buffer.from("tar")]), ["ENV A=1", "LABEL b=2"]);
  expect(asked).toEqual([
    {
      line: "POST /images/create?fromSrc=-&repo=ubuntu&tag=latest&changes=ENV+A=1&changes=LABEL+b=2",
      body: "a tar",
      type: "application/x-tar",
    },
  ]);
});

test("an archive that cannot be read fails the call", async () => {
  const broken = new Readable({ read: () => broken.destroy(new Error("no disk")) });
  await expect(engine.importImage("ubuntu", broken, [])).rejects.toThrow("no disk");
});

test("names of images that would name another resource are not asked for", async () => {
  for (const image of ["", "..", "a/../b", "a//b", "a b", "a?b", "-rm"])
    expect(await engine.hasImage(image)).toBe(false);
  expect(asked).toEqual([]);
});

const OPEN_LOGS = 40;
const CALLS = 20;

test("a call costs no more while many logs are followed", async () => {
  answer = ({ url }, response) => (url?.includes("/logs") === true ? response.flushHeaders() : void response.end("{}"));
  const cpuMsOfCalls = async (): Promise<number> => {
    const before = process.cpuUsage();
    for (let call = 0; call < CALLS; call++) await engine.gpu();
    return process.cpuUsage(before).user / 1000;
  };
  await cpuMsOfCalls();
  const alone = await cpuMsOfCalls();
  const ended = new AbortController();
  for (let i = 0; i < OPEN_LOGS; i++) {
    const log = await engine.logs("any", { follow: true }, ended.signal);
    log.on("error", () => undefined);
  }
  const beside = await cpuMsOfCalls();
  ended.abort();
  expect(beside).toBeLessThan(10 * alone + 50);
});
