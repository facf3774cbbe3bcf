import { createServer, type Server } from "node:http";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LAST_WORDS_MS } from "../../../client/run/input.ts";
import { eventually, stays, turns } from "../../eventually.ts";
import { fail, FakeServer } from "../../fakes/tyger-server.ts";
import { startTyger, tyger } from "../command-line.ts";

let server: FakeServer;
let folder: string;
let file: string;
beforeEach(async () => {
  server = await new FakeServer().start();
  folder = await mkdtemp(join(tmpdir(), "tyger-exec-"));
  file = await runFile({ inputs: ["input"], outputs: ["output"] });
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

async function runFile(buffers: { inputs?: string[]; outputs?: string[] }): Promise<string> {
  const path = join(folder, "run.yml");
  await writeFile(path, JSON.stringify({ job: { codespec: { image: "x", buffers } } }));
  return path;
}

const exec = (more: string[] = []): string[] => ["run", "exec", "-f", file, ...more];
const never = (): Promise<never> => new Promise(() => undefined);

test("stdin is the input, stdout has the output, and stderr reports the run", async () => {
  server.job = async (input) => ({ output: Buffer.from(`Hello ${input.toString()}`) });
  const { code, stdout, stderr } = await tyger(exec(), { server, stdin: "Paul" });
  expect({ code, stdout }).toEqual({ code: 0, stdout: "Hello Paul" });
  expect(stderr).toMatch(/INF Run created runId=7\n[^]*INF Run status changed runId=7 status=Succeeded\n$/);
  expect(stderr).not.toContain("timed out waiting for logs");
  const access = server.requests("POST", /access/).map(({ url }) => url);
  expect(access.sort()).toEqual([
    "/buffers/binput/access?api-version=1.0&ttl=01%3A00%3A00&writeable=true",
    "/buffers/boutput/access?api-version=1.0&ttl=01%3A00%3A00&writeable=false",
  ]);
});

test("the reason for which a run waits is reported once", async () => {
  file = await runFile({});
  server.job = async () => {
    await eventually(() => server.requests("GET", /watch=true/).length > 0);
    const statusReason = "Unschedulable: no node";
    for (const tags of [{}, { a: "1" }]) server.changeRun({ status: "Pending", statusReason, tags });
    server.changeRun({ status: "Running", statusReason: undefined });
    return {};
  };
  const { code, stderr } = await tyger(exec(), { server });
  expect(code).toBe(0);
  const lines = stderr.split("\n").filter((line) => line.includes("Run is waiting to begin"));
  expect(lines).toEqual([expect.stringContaining('reason="Unschedulable: no node" runId=7')]);
});

test("a named codespec is looked up before the run is made", async () => {
  server.codespecs.set("c", { kind: "job", image: "x", buffers: { outputs: ["out"] } });
  server.job = async () => ({ output: Buffer.from("hi") });
  expect(await tyger("run exec -c c", { server })).toMatchObject({ code: 0, stdout: "hi" });
  expect(server.seen.map(({ method, url }) => `${method} ${url}`).slice(0, 2)).toEqual([
    "GET /codespecs/c?api-version=1.0",
    "POST /runs?api-version=1.0",
  ]);
});

test("without buffers stdin is not read and stdout stays empty", async () => {
  file = await runFile({});
  const stdin = new Readable({ read: () => expect.unreachable("stdin was read") });
  expect(await tyger(exec(), { server, stdin })).toMatchObject({ code: 0, stdout: "" });
});

test("'-f -' reads the run from stdin, which then cannot also be the input", async () => {
  const run = (buffers: object): string => JSON.stringify({ job: { codespec: { image: "x", buffers } } });
  server.job = async () => ({ output: Buffer.from("hi") });
  const line = "run exec -f -";
  expect(await tyger(line, { server, stdin: run({ outputs: ["out"] }) })).toMatchObject({ code: 0, stdout: "hi" });
  const created = server.requests("POST", /^\/runs/).length;
  expect(await tyger(line, { server, stdin: run({ inputs: ["in"] }) })).toEqual({
    code: 1,
    stdout: "",
    stderr: "Error: stdin cannot be both the run file and the input 'in'; use --buffer for the input\n",
  });
  expect(server.requests("POST", /^\/runs/)).toHaveLength(created);
  await server.fill("mine", Buffer.from("x"));
  expect(await tyger(`${line} -b in=mine`, { server, stdin: run({ inputs: ["in"] }) })).toMatchObject({ code: 0 });
});

test("a given buffer is neither read nor written", async () => {
  const { code } = await tyger(exec(["-b", "output=mine"]), { server, stdin: "x" });
  expect(code).toBe(0);
  expect(server.requests("POST", /access/)).toHaveLength(1);
});

describe("a command line that is refused before anything is created", () => {
  const cases: [name: string, buffers: object, more: string[], options: object, reason: RegExp][] = [
    ["two inputs", { inputs: ["a", "b"] }, [], {}, /stdin can feed only one input; .* 'a', 'b'/],
    ["two outputs", { outputs: ["a", "b", "c"] }, ["-b", "a=x"], {}, /stdout can carry only one output; .* 'b', 'c'/],
    ["a closed stdin", { inputs: ["a"] }, [], { closedStreams: ["stdin"] }, /stdin is closed/],
    ["a closed stdout", { outputs: ["a"] }, [], { closedStreams: ["stdout"] }, /stdout is closed/],
    ["an unknown codespec", {}, ["-c", "none"], {}, /not found/],
    ["times of logs that are not shown", {}, ["--timestamps"], {}, /^Error: --timestamps requires --logs\n$/],
    ["no name of a codespec", {}, ["-c", "No!"], {}, /'No!'/],
  ];
  test.each(cases)("%s", async (_name, buffers, more, options, reason) => {
    file = await runFile(buffers);
    const { code, stderr } = await tyger(exec(more), { server, ...options });
    expect(code).toBe(1);
    expect(stderr).toMatch(reason);
    expect(server.requests("POST", /runs/)).toEqual([]);
  });
});

test("an input that is given twice is left to the server to refuse", async () => {
  file = await runFile({ inputs: ["a", "a"], outputs: ["b", "b"] });
  const reason = "The buffer name 'a' is given more than once";
  server.on("POST", /^\/runs\?/, (_, response) => fail(response, 400, "InvalidInput", reason));
  const { code, stderr } = await tyger(exec(), { server, stdin: "x" });
  expect({ code, stderr }).toEqual({ code: 1, stderr: `Error: InvalidInput: ${reason}\n` });
});

test("a run that the server refuses is the server's error", async () => {
  server.on("POST", /^\/runs\?/, (_, response) => fail(response, 400, "InvalidInput", "The image 'x' was not found"));
  expect(await tyger(exec(), { server })).toEqual({
    code: 1,
    stdout: "",
    stderr: "Error: InvalidInput: The image 'x' was not found\n",
  });
});

test("a failed run is reported at once with its whole reason, although stdin is still open", async () => {
  server.job = never;
  const stdin = new PassThrough();
  const running = await startTyger(exec(), { server, stdin });
  await eventually(() => server.blobs.has("binput/.bufferstart"));
  server.changeRun({ status: "Failed", statusReason: "Main exited with code 3: it broke" });
  expect(await running.exitCode).toBe(1);
  expect(running.stderr()).toMatch(
    /FTL Run failed error="run failed with status Failed \(Main exited with code 3: it broke\)" runId=7\n$/,
  );
  expect(server.blobs.get("binput/.bufferend")?.bytes.toString()).toBe('{"status":"failed"}');
});

test("a run that is canceled elsewhere fails the command", async () => {
  server.job = never;
  const running = await startTyger(exec(), { server, stdin: "x" });
  await eventually(() => server.run?.["status"] === "Running");
  server.changeRun({ status: "Canceling" });
  expect(await running.exitCode).toBe(1);
  expect(running.stderr()).toContain('error="run failed with status Canceling"');
});

test("an output that is marked failed because its run failed is reported as the run's failure", async () => {
  server.job = async () => {
    const looks = vi.spyOn(server.blobs, "get");
    server.blobs.set("boutput/.bufferend", { bytes: Buffer.from('{"status":"failed"}'), headers: {} });
    // The command learns that the output failed before it learns that the run did.
    await eventually(() => looks.mock.calls.some(([path]) => path === "boutput/.bufferend"));
    await turns(20);
    return { status: "Failed", statusReason: "the pump died" };
  };
  const { code, stderr } = await tyger(exec(), { server, stdin: "x" });
  expect(code).toBe(1);
  expect(stderr).toContain('FTL Run failed error="run failed with status Failed (the pump died)"');
  expect(stderr).not.toContain("Failed to read output");
});

test("a broken output of a run that continues is fatal", async () => {
  server.job = async () => {
    server.blobs.set("boutput/.bufferstart", { bytes: Buffer.from('{"version":"9.9"}'), headers: {} });
    return never();
  };
  const { code, stderr } = await tyger(exec(), { server, stdin: "x" });
  expect(code).toBe(1);
  expect(stderr).toMatch(/FTL Failed to read output error=".*9\.9.*" runId=7/);
});

test("Ctrl-C cancels the run and reports it", async () => {
  server.job = never;
  const stdin = new PassThrough();
  stdin.write("part");
  const running = await startTyger(exec(["--logs"]), { server, stdin });
  await eventually(() => server.requests("POST", /access/).length === 2);
  running.interrupt();
  expect(await running.exitCode).toBe(1);
  expect(running.stderr()).toMatch(/WRN Canceling\.\.\.\n[^]*WRN Cancel requested runId=7 status=Canceled\n/);
  expect(server.requests("POST", /runs\/7\/cancel/)).toHaveLength(1);
});

test("Ctrl-C while the run is being created cancels what was created", async () => {
  server.job = never;
  const running = await startTyger(exec(), { server, stdin: "x" });
  running.interrupt();
  // The handler is there once the command has come so far; before that the signal ends the process.
  await eventually(() => {
    running.interrupt();
    return server.requests("POST", /^\/runs\/7\/cancel/).length > 0;
  });
  expect(await running.exitCode).toBe(1);
});

test("Ctrl-C after the run has ended reports its status", async () => {
  server.on("POST", /cancel/, (_, response) => {
    response.writeHead(202).end(JSON.stringify({ id: 7, status: "Succeeded" }));
  });
  server.job = never;
  const running = await startTyger(exec(), { server, stdin: "x" });
  await eventually(() => server.run?.["status"] === "Running");
  running.interrupt();
  expect(await running.exitCode).toBe(1);
  expect(running.stderr()).toMatch(/The run had ended before it could be canceled runId=7 status=Succeeded/);
});

test("a failed cancel is reported", async () => {
  server.on("POST", /cancel/, (_, response) => fail(response, 404, "NotFound", "The resource was not found"));
  server.job = never;
  const running = await startTyger(exec(), { server, stdin: "x" });
  await eventually(() => server.run?.["status"] === "Running");
  running.interrupt();
  expect(await running.exitCode).toBe(1);
  expect(running.stderr()).toMatch(/ERR The run could not be canceled error="NotFound: /);
});

test("a closed stdout cancels the run", async () => {
  const stdout = new PassThrough();
  // The job can outlive this test; it must not write to the server of the next one.
  const ours = server;
  server.job = async () => {
    await ours.fill("boutput", Buffer.alloc(100_000)).catch(() => undefined);
    return never();
  };
  const running = await startTyger(exec(), { server, stdin: "x", stdout });
  await eventually(() => server.blobs.has("binput/.bufferend"));
  stdout.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  expect(await running.exitCode).toBe(1);
  expect(running.stderr()).toMatch(/ERR stdout was closed runId=7\n.*WRN Cancel requested/);
});

test("the output of a run that succeeded is waited for", async () => {
  // The test itself writes the output.
  server.job = async () => ({});
  const running = await startTyger(exec(), { server, stdin: "x" });
  await eventually(() => server.run?.["status"] === "Succeeded");
  await server.fill("boutput", Buffer.from("late"));
  expect(await running.exitCode).toBe(0);
  expect(running.stdout().toString()).toBe("late");
});

describe("a run that succeeds before it read all of stdin", () => {
  beforeEach(async () => {
    file = await runFile({ inputs: ["input"] });
    server.job = never;
  });

  test("ends the command though stdin stays open, and its input is marked failed", async () => {
    const stdin = new PassThrough();
    stdin.write("first");
    const running = await startTyger(exec(), { server, stdin });
    await eventually(() => server.blobs.has("binput/.bufferstart"));
    server.changeRun({ status: "Succeeded" });
    expect(await running.exitCode).toBe(0);
    expect(server.blobs.get("binput/.bufferend")?.bytes.toString()).toBe('{"status":"failed"}');
    expect(running.stderr().match(/^.*before it read all of stdin.*$/gm)).toEqual([
      expect.stringMatching(/ WRN .* marked failed" buffer=binput runId=7$|marked failed buffer=binput runId=7$/),
    ]);
  });

  test("ends the command though stdin never pauses", async () => {
    async function* yes(): AsyncGenerator<Buffer> {
      for (;;) {
        yield Buffer.alloc(1000, "y\n");
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const running = await startTyger(exec(), { server, stdin: Readable.from(yes()) });
    await eventually(() => server.blobs.has("binput/00/000"));
    server.changeRun({ status: "Succeeded" });
    expect(await running.exitCode).toBe(0);
    expect(server.blobs.get("binput/.bufferend")?.bytes.toString()).toBe('{"status":"failed"}');
  });

  test("stores a stdin that has ended whole, however long that takes", async () => {
    const blocks: (() => void)[] = [];
    server.beforeStoring = (path) =>
      path.startsWith("binput/0") ? new Promise((resolve) => blocks.push(resolve)) : undefined;
    const running = await startTyger(exec(), { server, stdin: "whole" });
    await eventually(() => blocks.length === 2);
    server.changeRun({ status: "Succeeded" });
    await eventually(() => running.stderr().includes("status=Succeeded"));
    // A stdin that is still open would be given up meanwhile: there is no event that says that nothing happens.
    let hasEnded = false;
    void running.exitCode.then(() => (hasEnded = true));
    await stays(() => !hasEnded, { looks: 20, everyMs: LAST_WORDS_MS / 10 });
    for (const release of blocks) release();
    expect(await running.exitCode).toBe(0);
    expect(server.blobs.get("binput/.bufferend")?.bytes.toString()).toBe('{"status":"complete"}');
    expect(running.stderr()).not.toContain("stdin");
  });

  test("writes no buffer that was given, and does not read stdin", async () => {
    const stdin = new Readable({ read: () => expect.unreachable("stdin was read") });
    const running = await startTyger(exec(["-b", "input=mine"]), { server, stdin });
    await eventually(() => server.run?.["status"] === "Running");
    server.changeRun({ status: "Succeeded" });
    expect(await running.exitCode).toBe(0);
    expect(server.blobs.size).toBe(0);
  });
});

test("the watch is opened again after it broke", async () => {
  const stdin = new PassThrough();
  const running = await startTyger(exec(), { server, stdin });
  await eventually(() => server.requests("GET", /watch/).length === 1);
  server.cutWatches();
  await eventually(() => server.requests("GET", /watch/).length === 2);
  stdin.end("x");
  expect(await running.exitCode).toBe(0);
  expect(running.stdout().toString()).toBe("x");
  expect(running.stderr()).toContain("Reconnecting to the run");
});

test("a server that is killed and comes back does not end the command", async () => {
  const stdin = new PassThrough();
  const running = await startTyger(exec(), { server, stdin });
  await eventually(() => server.blobs.has("binput/.bufferstart"));
  await server.crash();
  stdin.end("over the gap");
  await eventually(() => running.stderr().includes("Received retryable error"));
  await server.restart();
  expect(await running.exitCode).toBe(0);
  expect(running.stdout().toString()).toBe("over the gap");
});

describe("logs", () => {
  beforeEach(() => {
    server.log = "2024-01-01T00:00:00.000000001Z one\n2024-01-01T00:00:00.000000002Z two\n";
  });

  test("--logs shows them raw on stderr, --timestamps with their times", async () => {
    const plain = await tyger(exec(["--logs"]), { server, stdin: "x" });
    expect(plain).toMatchObject({ code: 0, stdout: "x" });
    expect(plain.stderr).toMatch(/^one\ntwo\n/m);
    server.blobs.clear();
    const timed = await tyger(exec(["--logs", "--timestamps"]), { server, stdin: "x" });
    expect(timed.stderr).toMatch(/^2024-01-01T00:00:00\.000000001Z one\n/m);
  });

  test("the logs of a failed run precede its failure", async () => {
    server.job = async () => ({ status: "Failed", statusReason: "no" });
    const { stderr } = await tyger(exec(["--logs"]), { server, stdin: "x" });
    expect(stderr.indexOf("two\n")).toBeGreaterThan(0);
    expect(stderr.indexOf("FTL Run failed")).toBeGreaterThan(stderr.indexOf("two\n"));
  });
});

describe("--pull", () => {
  let engine: Server;
  let asked: string[];
  let pulls: string;
  let hasImage: boolean;
  beforeEach(async () => {
    asked = [];
    pulls = '{"status":"Pulling from library/x"}\n{"status":"Status: Downloaded newer image"}\n';
    hasImage = false;
    engine = createServer(({ method, url = "" }, response) => {
      asked.push(`${method} ${url}`);
      if (method === "POST") response.end(pulls);
      else response.writeHead(hasImage ? 200 : 404).end(JSON.stringify({ message: "No such image: x" }));
    });
    await new Promise<void>((resolve) => engine.listen(join(folder, "docker.sock"), resolve));
  });
  afterEach(() => void engine.close());
  const pull = () =>
    tyger(exec(["--pull"]), { server, stdin: "x", dockerHost: `unix://${join(folder, "docker.sock")}` });

  test("the image is pulled before the run is created", async () => {
    const { code, stderr } = await pull();
    expect(code).toBe(0);
    expect(asked).toEqual(["POST /images/create?fromImage=x&tag=latest"]);
    expect(stderr.indexOf("Pulled image")).toBeLessThan(stderr.indexOf("Run created"));
  });

  test("an image that cannot be pulled is an error, unless it is present locally", async () => {
    pulls = '{"status":"Pulling"}\n{"errorDetail":{},"error":"no such host"}\n';
    expect(await pull()).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/image 'x' could not be pulled: no such host/),
    });
    expect(server.requests("POST", /runs/)).toEqual([]);
    hasImage = true;
    const present = await pull();
    expect(present.code).toBe(0);
    expect(present.stderr).toMatch(/WRN The image could not be pulled.*error="no such host" image=x/);
  });

  test("a server without Docker causes a warning", async () => {
    server.on("GET", /metadata/, (_, response) => void response.end('{"capabilities":["Kubernetes"]}'));
    const { code, stderr } = await pull();
    expect({ code, asked }).toEqual({ code: 0, asked: [] });
    expect(stderr).toMatch(/WRN .*--pull is ignored/);
  });

  test("an engine that cannot be reached is named", async () => {
    const { code, stderr } = await tyger(exec(["--pull"]), { server, dockerHost: "ssh://host" });
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("DOCKER_HOST 'ssh://host'") });
  });
});
