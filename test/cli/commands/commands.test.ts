import { once } from "node:events";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../../eventually.ts";
import { fail, FakeServer, reply } from "../../fakes/tyger-server.ts";
import { startTyger, tyger } from "../command-line.ts";

let server: FakeServer;
let folder: string;
beforeEach(async () => {
  server = await new FakeServer().start();
  folder = await mkdtemp(join(tmpdir(), "tyger-commands-"));
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

/** The body of the one request of this kind. */
const bodyOf = (method: string, path: RegExp): unknown => JSON.parse(server.requests(method, path)[0]?.body ?? "null");

describe("codespec", () => {
  test("create prints the version from the Location header", async () => {
    const line =
      "codespec create c --image ubuntu -i in -o out -e A=1 --cpu-limit 500m --gpu 1 --max-replicas 2 --command -- sh -c x";
    expect(await tyger(line, { server })).toEqual({ code: 0, stdout: "3\n", stderr: "" });
    expect(bodyOf("PUT", /^\/codespecs\/c\?api-version=1\.0$/)).toEqual({
      name: "c",
      kind: "job",
      image: "ubuntu",
      buffers: { inputs: ["in"], outputs: ["out"] },
      env: { A: "1" },
      resources: { limits: { cpu: "500m" }, gpu: "1" },
      maxReplicas: 2,
      command: ["sh", "-c", "x"],
    });
  });

  test("'-f -' reads the codespec from stdin; a file of that name can still be given", async () => {
    const stdin = "{name: c, image: a, args: [x]}";
    expect(await tyger("codespec create -f - --image b", { server, stdin })).toMatchObject({ code: 0, stdout: "3\n" });
    expect(bodyOf("PUT", /^\/codespecs\/c\?/)).toMatchObject({ image: "b", args: ["x"] });
    const closed = await tyger("codespec create -f -", { server, closedStreams: ["stdin"] });
    expect(closed).toMatchObject({ code: 1, stderr: expect.stringContaining("stdin is closed") });
    expect((await tyger("codespec create -f ./-", { server, stdin })).stderr).toContain("'./-' cannot be read");
  });

  test("each flag overrides its field of the file; env is replaced as a whole, and the file's kind wins", async () => {
    const file = join(folder, "c.yml");
    await writeFile(
      file,
      "{name: c, kind: worker, image: a, env: {A: 1, B: 2}, resources: {limits: {cpu: 1, memory: 1Gi}}, args: [x]}",
    );
    await tyger(`codespec create -f ${file} --kind job --image b -e C=3 --cpu-limit 2 --endpoint web=80 -- y z`, {
      server,
    });
    expect(bodyOf("PUT", /^\/codespecs\/c\?/)).toEqual({
      name: "c",
      kind: "worker",
      image: "b",
      env: { C: "3" },
      resources: { limits: { cpu: "2", memory: "1Gi" } },
      endpoints: { web: 80 },
      args: ["y", "z"],
    });
  });

  test("an empty image is refused by the server, in its words", async () => {
    server.on("PUT", /codespecs/, (_, response) => fail(response, 400, "InvalidInput", "missing image"));
    expect(await tyger("codespec create c", { server })).toEqual({
      code: 1,
      stdout: "",
      stderr: "Error: InvalidInput: missing image\n",
    });
    expect(bodyOf("PUT", /codespecs/)).toMatchObject({ image: "" });
  });

  test("show asks for the latest version, or the one given", async () => {
    server.codespecs.set("c", { version: 2, image: "x", kind: "job", args: [] });
    const shown = await tyger("codespec show c", { server });
    expect(shown.stdout).toBe('{\n  "kind": "job",\n  "version": 2,\n  "image": "x"\n}\n');
    await tyger("codespec show c --version 2", { server });
    expect(server.seen.map(({ url }) => url)).toEqual([
      "/codespecs/c?api-version=1.0",
      "/codespecs/c/versions/2?api-version=1.0",
    ]);
  });

  test("a missing codespec is the server's error", async () => {
    expect(await tyger("codespec show none", { server })).toEqual({
      code: 1,
      stdout: "",
      stderr: "Error: NotFound: The resource was not found\n",
    });
  });
});

describe("buffer", () => {
  test("create prints the id, or the whole buffer", async () => {
    const beforeMs = Date.now();
    expect((await tyger("buffer create --tag a=1,b=2 --ttl 1.00:00", { server })).stdout).toMatch(/^buffer1\n$/);
    const body = bodyOf("POST", /^\/buffers\?/) as { tags: object; expiresAt: string };
    expect(body.tags).toEqual({ a: "1,b=2".split(",")[0], b: "2" });
    const createdAtMs = Date.parse(body.expiresAt) - 86_400_000;
    expect(createdAtMs).toBeGreaterThanOrEqual(beforeMs);
    expect(createdAtMs).toBeLessThanOrEqual(Date.now());
    const full = await tyger("buffer create --full-resource --location local", { server });
    expect(JSON.parse(full.stdout)).toEqual({ id: "buffer1", location: "local" });
  });

  test("access sends the request that other clients send", async () => {
    const { stdout } = await tyger("buffer access b", { server });
    expect(stdout).toBe(`${server.accessUrl("b")}\n`);
    await tyger("buffer access b -w --access-ttl 0.00:01", { server });
    expect(server.seen.map(({ url }) => url)).toEqual([
      "/buffers/b/access?api-version=1.0&writeable=false",
      "/buffers/b/access?api-version=1.0&ttl=0.00%3A01%3A00&writeable=true",
    ]);
  });

  test("a written buffer is read by id, URL and file, with and without a login", async () => {
    const written = await tyger("buffer write b1", { server, stdin: "some bytes" });
    expect(written).toMatchObject({ code: 0, stdout: "" });
    expect(written.stderr).toMatch(/INF Transfer starting buffer=b1 operation="buffer write"/);
    expect(written.stderr).toMatch(
      /INF Transfer complete avgThroughput=\S+ buffer=b1 elapsed=\S+s .*totalCompletedData=10B/,
    );
    expect((await tyger("buffer read b1", { server })).stdout).toBe("some bytes");
    expect((await tyger(["buffer", "read", server.accessUrl("b1")])).stdout).toBe("some bytes");
    const file = join(folder, "access");
    await writeFile(file, `${server.accessUrl("b1")}\n`);
    const out = join(folder, "out");
    await writeFile(out, "longer than what comes after");
    expect(await tyger(["buffer", "read", file, "-o", out])).toMatchObject({ code: 0, stdout: "" });
    expect(await readFile(out, "utf8")).toBe("some bytes");
  });

  test("a file is written in full blocks", async () => {
    const input = join(folder, "in");
    await writeFile(input, Buffer.alloc(2500, 7));
    expect((await tyger(["buffer", "write", "b1", "-i", input, "-b", "1K"], { server })).code).toBe(0);
    expect(Object.fromEntries([...server.blobs].map(([path, { bytes }]) => [path, bytes.length]))).toEqual({
      "b1/.bufferend": 21,
      "b1/.bufferstart": 19,
      "b1/00/000": 1024,
      "b1/00/001": 1024,
      "b1/00/002": 452,
      "b1/00/003": 0,
    });
  });

  test("a failed buffer and a missing buffer are errors for the reader", async () => {
    await server.fill("b1", Buffer.from("x"));
    server.blobs.delete("b1/00/001");
    server.blobs.set("b1/.bufferend", { bytes: Buffer.from('{"status":"failed"}'), headers: {} });
    const failed = await tyger("buffer read b1", { server });
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(
      /FTL Failed to read buffer error="the buffer is in a permanently failed state" buffer=b1/,
    );
    server.on("POST", /access/, (_, response) => fail(response, 404, "NotFound", "The resource was not found"));
    const missing = await tyger("buffer read none", { server });
    expect(missing.code).toBe(1);
    expect(missing.stderr).toMatch(/FTL Failed to read buffer error="NotFound: The resource was not found"/);
  });

  test("a second writer is refused, and Ctrl-C leaves a failed end mark", async () => {
    await server.fill("b1", Buffer.from("x"));
    expect((await tyger("buffer write b1", { server, stdin: "y" })).code).toBe(1);
    const stdin = new PassThrough();
    stdin.write("part");
    const writing = await startTyger("buffer write b2".split(" "), { server, stdin });
    await eventually(() => server.blobs.has("b2/.bufferstart"));
    writing.interrupt();
    expect(await writing.exitCode).toBe(1);
    expect(writing.stderr()).toMatch(/WRN Canceling\.\.\.[^]*FTL Failed to write buffer/);
    expect(server.blobs.get("b2/.bufferend")?.bytes.toString()).toBe('{"status":"failed"}');
  });

  test("a closed stdin is not an empty stdin", async () => {
    const closed = await tyger("buffer write b1", { server, closedStreams: ["stdin"] });
    expect(closed).toMatchObject({ code: 1, stderr: expect.stringContaining("stdin is closed") });
    expect((await tyger("buffer write b1", { server })).code).toBe(0);
    expect(server.blobs.get("b1/00/000")?.bytes.length).toBe(0);
  });

  test("PowerShell as the parent causes a warning, other parents do not", async () => {
    const warning = "PowerShell I/O redirection may corrupt binary data";
    for (const [parentName, id] of [
      ["pwsh", "b1"],
      ["pwsh.exe", "b2"],
      ["powershell.exe", "b3"],
    ] as const) {
      expect((await tyger(`buffer write ${id}`, { server, parentName })).stderr).toContain(warning);
    }
    expect((await tyger("buffer write b4", { server, parentName: "zsh" })).stderr).not.toContain(warning);
  });

  test("gen repeats its pattern and cuts it at the size", async () => {
    const { stdout } = await tyger("buffer gen 1.5K", { server });
    expect(stdout).toHaveLength(1536);
    expect(stdout.slice(0, 65)).toBe(":;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxy:");
    expect((await tyger("buffer gen 300K", { server })).stdout.slice(262_144, 262_147)).toBe(":;<");
    const output = join(folder, "gen");
    await tyger(["buffer", "gen", "10", "-o", output]);
    expect(await readFile(output, "utf8")).toBe(":;<=>?@ABC");
  });
});

describe("run", () => {
  test("create sends the file with the flags merged in, and an idempotency key of its own", async () => {
    const file = join(folder, "r.yml");
    await writeFile(
      file,
      `job: {codespec: a, buffers: {in: b1, x: y}, tags: {t: 1}, nodePool: p}\ntimeoutSeconds: 5\ntags: {k: 1}\n`,
    );
    server.codespecs.set("b", {});
    const flags =
      "-c b --version 2 -r 3 -b in=b2 --buffer-tag u=2 --buffer-ttl 0.00:05 --timeout 1m --tag l=2 --cluster c";
    expect(await tyger(`run create -f ${file} ${flags} --buffer-access-ttl 0.01`, { server })).toEqual({
      code: 0,
      stdout: "7\n",
      stderr: "",
    });
    expect(bodyOf("POST", /^\/runs\?api-version=1\.0$/)).toEqual({
      job: {
        codespec: "b/versions/2",
        buffers: { in: "b2", x: "y" },
        tags: { t: "1", u: "2" },
        bufferTtl: "0.00:05",
        nodePool: "p",
        replicas: 3,
      },
      timeoutSeconds: 60,
      tags: { k: "1", l: "2" },
      cluster: "c",
      bufferAccessTtl: "0.01:00:00",
    });
    const key = server.requests("POST", /^\/runs/)[0]?.headers["idempotency-key"];
    expect(key).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("an inline codespec gets its kind; a worker is made by any of its flags", async () => {
    const file = join(folder, "r.yml");
    await writeFile(file, "job: {codespec: {image: x}}");
    await tyger(`run create -f ${file} --worker-codespec w --worker-replicas 2`, { server });
    expect(bodyOf("POST", /^\/runs/)).toEqual({
      job: { codespec: { image: "x", kind: "job" } },
      worker: { codespec: "w", replicas: 2 },
    });
  });

  test("a create whose answer is lost is repeated with the same key", async () => {
    let isFirst = true;
    server.on("POST", /^\/runs\?/, (_, response) => {
      if (isFirst) response.destroy();
      else reply(response, 201, { id: 7 });
      isFirst = false;
    });
    const { code, stdout, stderr } = await tyger("run create -c x", { server });
    expect({ code, stdout }).toEqual({ code: 0, stdout: "7\n" });
    expect(stderr).toContain("Received retryable error");
    const keys = server.requests("POST", /^\/runs/).map(({ headers }) => headers["idempotency-key"]);
    expect(new Set(keys).size).toBe(1);
    expect(keys).toHaveLength(2);
  });

  test("show, watch and counts print the server's answers", async () => {
    server.run = {
      id: 7,
      status: "Succeeded",
      createdAt: "2024-01-25T18:20:49.100+00:00",
      job: { codespec: { image: "x" } },
    };
    expect(JSON.parse((await tyger("run show 7", { server })).stdout)).toEqual({
      id: 7,
      status: "Succeeded",
      createdAt: "2024-01-25T18:20:49.1Z",
      job: { codespec: { image: "x" } },
    });
    expect((await tyger("run watch 7", { server })).stdout).toBe(
      '{"id":7,"status":"Succeeded","createdAt":"2024-01-25T18:20:49.1Z"}\n',
    );
    server.on("GET", /^\/runs\/counts/, (_, response) => reply(response, 200, { succeeded: 2, running: 1 }));
    const counts = await tyger("run counts --tag a=b --since 2024-01-01T00:00:00.123456789Z", { server });
    expect(counts.stdout).toBe('{\n  "running": 1,\n  "succeeded": 2\n}\n');
    expect(server.seen.at(-1)?.url).toBe(
      "/runs/counts?api-version=1.0&since=2024-01-01T00%3A00%3A00.123456789Z&tag%5Ba%5D=b",
    );
  });

  test("watch prints each change once, also across a broken connection", async () => {
    server.run = { id: 7, status: "Pending", tags: { a: "1" } };
    const watching = await startTyger("run watch 7".split(" "), { server });
    await eventually(() => watching.stdout().length > 0);
    server.changeRun({ tags: { a: "2" } });
    server.cutWatches();
    await eventually(() => server.requests("GET", /watch/).length === 2);
    server.changeRun({ status: "Running" });
    server.changeRun({ status: "Failed", statusReason: "no" });
    expect(await watching.exitCode).toBe(0);
    expect(watching.stdout().toString()).toBe(
      '{"id":7,"status":"Pending"}\n{"id":7,"status":"Running"}\n{"id":7,"status":"Failed","statusReason":"no"}\n',
    );
  });

  test("watch of an unknown run, and one that breaks twice, fail", async () => {
    expect(await tyger("run watch 8", { server })).toEqual({
      code: 1,
      stdout: "",
      stderr: "Error: NotFound: The resource was not found\n",
    });
    server.on("GET", /watch/, (_, response) => {
      response.writeHead(200).flushHeaders();
      response.destroy();
    });
    expect((await tyger("run watch 7", { server })).code).toBe(1);
    expect(server.requests("GET", /runs\/7.*watch/)).toHaveLength(2);
  });

  test("cancel confirms, or reports why it cannot", async () => {
    server.run = { id: 7, status: "Running" };
    expect(await tyger("run cancel 7", { server })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("7"),
      stderr: "",
    });
    server.on("POST", /cancel/, (_, response) =>
      reply(response, 202, { id: 7, status: "Failed", statusReason: "it broke" }),
    );
    expect(await tyger("run cancel 7", { server })).toEqual({
      code: 1,
      stdout: "",
      stderr: "Error: run 7 cannot be canceled: its status is Failed (it broke)\n",
    });
  });

  test("logs passes its flags to the server", async () => {
    server.run = { id: 7, status: "Succeeded" };
    server.log = "one\ntwo";
    expect((await tyger("run logs 7", { server })).stdout).toBe("one\ntwo");
    await tyger("run logs 7 --tail 0 --timestamps -s 2024-01-01T00:00:00Z", { server });
    expect(server.seen.map(({ url }) => url)).toEqual([
      "/runs/7/logs?api-version=1.0",
      "/runs/7/logs?api-version=1.0&since=2024-01-01T00%3A00%3A00Z&tailLines=0&timestamps=true",
    ]);
  });

  test("followed logs resume after the last line when the connection breaks", async () => {
    const line = (n: number, text: string): string => `2024-01-01T00:00:00.00000000${n}Z ${text}\n`;
    const answers = [
      (url: string) => [url, line(1, "one") + line(2, "two") + "2024-01-01T00:00:00.000000003Z thr"],
      (url: string) => [url, line(3, "three")],
      (url: string) => [url, line(4, "four").trimEnd()],
    ];
    let count = 0;
    server.on("GET", /logs/, ({ url }, response) => {
      const [, text = ""] = answers[count]?.(url) ?? [];
      response.write(text, () => (++count < answers.length ? response.destroy() : response.end()));
    });
    expect(await tyger("run logs 7 -f", { server })).toEqual({ code: 0, stdout: "one\ntwo\nthree\nfour", stderr: "" });
    expect(server.seen.map(({ url }) => url)).toEqual([
      "/runs/7/logs?api-version=1.0&follow=true&timestamps=true",
      "/runs/7/logs?api-version=1.0&follow=true&since=2024-01-01T00%3A00%3A00.000000002Z&timestamps=true",
      "/runs/7/logs?api-version=1.0&follow=true&since=2024-01-01T00%3A00%3A00.000000003Z&timestamps=true",
    ]);
    count = 2;
    expect((await tyger("run logs 7 -f --timestamps", { server })).stdout).toBe(line(4, "four").trimEnd());
  });
});

describe("lists", () => {
  /** Answers with pages of at most 1000, as many in all as there are. */
  const serve = (total: number): void => {
    server.on("GET", /^\/runs\?/, ({ url }, response) => {
      const query = new URL(url, "http://h").searchParams;
      const start = Number(query.get("_ct") ?? 0);
      const limit = Number(query.get("limit"));
      const end = Math.min(total, start + Math.min(limit, 1000));
      const items = Array.from({ length: Math.max(0, end - start) }, (_, i) => ({ id: start + i, status: "Failed" }));
      const nextLink = end < total && limit > 0 ? `/runs?limit=${limit}&api-version=1.0&_ct=${end}` : undefined;
      reply(response, 200, { items, nextLink });
    });
  };

  test.each([
    [0, "", 0, 1001],
    [3, "", 3, 1001],
    [1000, "", 1000, 1001],
    [5000, "", 1000, 1001],
    [5000, "--limit 2500", 2500, 2500],
    [5, "--limit 2", 2, 2],
    [5, "--limit 0", 0, 0],
  ])("%i runs, run list %s: %i are shown", async (total, flags, shown, asked) => {
    serve(total);
    const { code, stdout, stderr } = await tyger(`run list ${flags}`, { server });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toHaveLength(shown);
    expect(stdout.endsWith("]\n")).toBe(true);
    expect(stderr !== "").toBe(total === 5000 && flags === "");
    expect(server.seen[0]?.url).toContain(`limit=${asked}`);
  });

  test("the warning about a truncated list names --limit, and is yellow on a terminal", async () => {
    serve(5000);
    expect((await tyger("run list", { server })).stderr).toMatch(/^WARNING: .*--limit.*\n$/);
    // oxlint-disable-next-line no-control-regex -- colors are control characters
    expect((await tyger("run list", { server, terminal: true })).stderr).toMatch(/\u001B\[33m.*--limit/);
  });

  test("a negative limit is refused by the server", async () => {
    server.on("GET", /limit=-1/, (_, response) =>
      fail(response, 400, "InvalidInput", "Limit must be a non-negative integer"),
    );
    expect((await tyger("run list --limit -1", { server })).stderr).toBe(
      "Error: InvalidInput: Limit must be a non-negative integer\n",
    );
  });

  test("filters are sent as parameters, sorted by name", async () => {
    serve(0);
    await tyger("run list --tag a=b --tag c=d --status succeeded,running -l 5", { server });
    expect(server.seen[0]?.url).toBe(
      "/runs?api-version=1.0&limit=5&status=succeeded&status=running&tag%5Ba%5D=b&tag%5Bc%5D=d",
    );
    await tyger("codespec list -p pre", { server });
    expect(server.seen[1]?.url).toBe("/codespecs?api-version=1.0&limit=1001&prefix=pre");
  });
});

/** Leaves a socket whose server has gone. */
async function leaveDeadSocket(path: string): Promise<void> {
  const gone = createServer();
  await once(gone.listen(`${path}.live`), "listening");
  await rename(`${path}.live`, path);
  gone.close();
  await once(gone, "close");
}

describe("the connection", () => {
  test.each([
    ["that has no listener", () => leaveDeadSocket(server.socketPath), "nothing is listening there"],
    ["that is gone", () => rm(server.socketPath, { force: true }), "there is no such socket"],
  ])("a socket %s is an error at once that names the socket", async (_what, prepare, reason) => {
    await server.crash();
    await prepare();
    const { code, stderr } = await tyger("run show 7", { server });
    expect(code).toBe(1);
    expect(stderr).toBe(
      `Error: cannot reach the server at unix://${server.socketPath}: ${reason}; is it running? 'tyger up' starts the local stack\n`,
    );
  });

  test("over a socket, a first answer that the server is busy is an error at once", async () => {
    server.on("GET", /^\/runs\/7/, (_, response) => fail(response, 503, "Unavailable", "busy"));
    expect(await tyger("run show 7", { server })).toMatchObject({ code: 1, stderr: "Error: Unavailable: busy\n" });
    expect(server.seen).toHaveLength(1);
  });

  test("a command retries a busy server that has answered it before", async () => {
    server.codespecs.set("c", { kind: "job", image: "x" });
    let count = 0;
    server.on("POST", /^\/runs\?/, (_, response) => {
      if (++count < 3) fail(response, 503, "Unavailable", "busy");
      else reply(response, 201, { id: 7 });
    });
    server.run = { id: 7, status: "Succeeded" };
    const { code, stderr } = await tyger("run exec -c c", { server });
    expect({ code, count }).toEqual({ code: 0, count: 3 });
    expect(stderr).toContain("Received retryable status code status=503");
  });

  test("an answer that is not JSON is an error with its status", async () => {
    server.on("GET", /^\/runs/, (_, response) => response.writeHead(500).end("<html>"));
    expect((await tyger("run show 7", { server })).stderr).toBe(
      "Error: unexpected status code 500 Internal Server Error\n",
    );
  });

  test("trace logs requests and answers without secrets, and writes nothing to stdout", async () => {
    server.run = { id: 7, status: "Succeeded" };
    const { stdout, stderr } = await tyger("run show 7 --log-level trace --baggage a=b,c=d", { server });
    expect(JSON.parse(stdout)).toEqual({ id: 7, status: "Succeeded" });
    expect(stderr).toMatch(
      /TRC Sending request method=GET proxy="" url="http:\/\/localhost\/runs\/7\?api-version=1\.0"/,
    );
    expect(stderr).toMatch(/Request-Id: request-1\b/);
    expect(server.seen[0]?.headers["baggage"]).toBe("a=b,c=d");
    const failed = await tyger("run show 8 --log-level trace", { server });
    expect(failed.stderr).toMatch(/Request-Id: request-1\b/);
    const access = await tyger("buffer access b --access-ttl 1 --log-level trace", { server });
    expect(access.stderr).toContain("api-version=1.0&ttl=REDACTED&writeable=false");
  });

  test("a closed stdout ends the command silently", async () => {
    server.run = { id: 7, status: "Succeeded" };
    const stdout = new PassThrough();
    stdout.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
    expect(await tyger("run show 7", { server, stdout })).toMatchObject({ code: 1, stderr: "" });
  });

  test("a stdout that cannot be written is named in the error", async () => {
    server.run = { id: 7, status: "Succeeded" };
    const stdout = new PassThrough();
    stdout.destroy(Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" }));
    expect((await tyger("run show 7", { server, stdout })).stderr).toBe(
      "Error: stdout cannot be written: the disk is full\n",
    );
  });

  test("a very long word is shortened in the error", async () => {
    const { code, stderr } = await tyger(["run", "list", "--tag", "x".repeat(100_000)]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error: invalid value "x{300}…" for the flag --tag: 'x{299}…\n$/);
  });
});
