import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { pumpKeyOf, type PumpAddress } from "../../model/ports/pump-channel.ts";
import { PUMP_FILES, type PumpPipe } from "../../model/run/pump.ts";
import { eventually, stays } from "../eventually.ts";
import { startEnd } from "./end-process.ts";
import type { OpenedPump } from "./pump-api.ts";
import { PUMP_MAIN, type PumpProcess } from "./pump-process.ts";
import { pumpSuite } from "./pump-suite.ts";

/** Faults of the channel over our API; what both channels promise is in `test/ports/pump-channel.ts`. */
const suite = pumpSuite("urls", "the API");
let out: string;

beforeEach(async () => {
  out = await suite.world.plane.newBuffer();
});
afterEach(() => {
  suite.world.api.beforeAnswer = () => {};
});

const resultOf = (pump: PumpProcess) => eventually(() => pump.result(), { withinMs: 20_000 });
const started = (bufferId: string) =>
  eventually(() => existsSync(join(suite.world.plane.dir, "buffers", bufferId, "00-000")));
const addressOf = ({ runId }: PumpProcess): PumpAddress => ({ run: { id: runId, uid: `uid${runId}` }, replica: 0 });
const obeyed = (pump: PumpProcess, command: string): number =>
  pump
    .log()
    .split("\n")
    .filter((line) => line.includes('"command received"') && line.includes(`"${command}"`)).length;

interface Answer {
  status: number | undefined;
  body: { error?: { code: string; message: string }; uri?: string; commands?: unknown[] };
}

/** Sends a request as a pump does. */
const ask = (
  { access, token }: Pick<OpenedPump, "access"> & { token?: string },
  method: string,
  path: string,
  body?: object | string,
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request({
      socketPath: suite.world.api.socketPath,
      method,
      path: `${access.path}${path}${path.includes("?") ? "&" : "?"}api-version=1.0`,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    sent.on("error", reject).on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode, body: JSON.parse(text) as Answer["body"] }));
    });
    sent.end(typeof body === "object" ? JSON.stringify(body) : body);
  });

const pipe = (direction: PumpPipe["direction"], bufferId: string): PumpPipe => ({
  parameter: direction,
  direction,
  bufferId,
});
const POLL = { instance: "one", heard: 0, sequence: 0, report: { phase: "Running" } };
const RESULT = { instance: "one", result: { status: "Succeeded" } };

describe("a pump in midstream", () => {
  test("waits out an API that is killed, and hears the commands that were given meanwhile", async () => {
    const bytes = randomBytes(24 << 20);
    const pump = await suite.start({ inputs: { in: await suite.world.fill(bytes) }, outputs: { out } });
    const job = pump.startJob("exec 3< in.pipe 4> out.pipe; head -c 9000000 <&3 >&4; read; cat <&3 >&4");
    await started(out);
    await suite.world.api.stop();
    job.process.stdin!.write("\n");
    expect((await job.ended).code).toBe(0);
    pump.tell("jobEnded", { cutOff: false });
    await stays(() => pump.result() === undefined);
    await suite.world.api.listen();
    expect(await resultOf(pump)).toEqual({ status: "Succeeded" });
    expect((await suite.world.contentOf(out)).equals(bytes)).toBe(true);
  });

  test("loses nothing when every second answer is lost", async () => {
    let count = 0;
    suite.world.api.beforeAnswer = (_path, cut) => {
      if (++count % 2 === 1) cut();
    };
    const bytes = randomBytes(1 << 20);
    const pump = await suite.start({ inputs: { in: await suite.world.fill(bytes) }, outputs: { out } });
    const { code, result } = await pump.runJob("cat in.pipe > out.pipe");
    expect([code, result]).toEqual([0, { status: "Succeeded" }]);
    expect(await pump.exit).toBe(0);
    expect((await suite.world.contentOf(out)).equals(bytes)).toBe(true);
    expect(obeyed(pump, "jobEnded")).toBe(1);
  });

  test("leaves although the answer to its result was lost and its run has ended meanwhile", async () => {
    const pump = await suite.start({ outputs: { out } });
    let count = 0;
    suite.world.api.beforeAnswer = (path, cut) => {
      if (!path.includes("/result") || ++count > 1) return;
      suite.world.api.records.endRun(addressOf(pump).run);
      cut();
    };
    await pump.runJob("echo x > out.pipe");
    expect(await pump.exit).toBe(0);
    expect([count, pump.result()]).toEqual([2, { status: "Succeeded" }]);
  });

  test("obeys a command once that is given twice, by two processes", async () => {
    const pump = await suite.start({ outputs: { out } });
    const job = pump.startJob("echo x > out.pipe; sleep 60");
    await eventually(() => pump.states().at(-1)?.pipeEnds === 1);
    for (const _ of [1, 2]) {
      pump.tell("jobRunsOn", { pipeEnds: 1 });
      await pump.channel.command({ command: "jobRunsOn", pipeEnds: 1 }, 0);
    }
    await eventually(() => pump.log().includes("buffer complete"));
    job.end();
    await Promise.all([1, 2].map(() => pump.channel.command({ command: "jobEnded" }, 0)));
    expect(await resultOf(pump)).toEqual({ status: "Succeeded" });
    expect([obeyed(pump, "jobRunsOn"), obeyed(pump, "jobEnded")]).toEqual([1, 1]);
  });
});

describe("a pump that is refused", () => {
  test("because its run has ended fails, keeps its pipes open, and marks no output that its job has not opened", async () => {
    const untouched = await suite.world.plane.newBuffer();
    const pump = await suite.start({
      inputs: { in: await suite.world.plane.newBuffer() },
      outputs: { out, untouched },
    });
    const job = pump.startJob("exec 3> out.pipe; echo part >&3; cat in.pipe; echo the job saw an end");
    await started(out);
    suite.world.api.records.endRun(addressOf(pump).run);
    // It asks again at the latest when this one is answered.
    await pump.channel.command({ command: "jobRunsOn", pipeEnds: 1 }, 0);
    await eventually(() => pump.log().includes("The server refuses this pump"));
    await stays(() => job.process.exitCode === null && pump.result() === undefined);
    await eventually(async () => (await suite.world.endOf(out)) === `{"status":"failed"}`);
    expect(await suite.world.blobsOf(untouched)).toEqual([]);
    job.end();
    expect((await job.ended).stdout).toBe("");
  });

  test("because another process speaks for it leaves at once, and nothing is touched", async () => {
    const pump = await suite.start({ inputs: { in: await suite.world.fill(Buffer.from("once")) }, outputs: { out } });
    const copy = mkdtempSync(join(tmpdir(), "pump-copy-"));
    onTestFinished(() => rmSync(copy, { recursive: true }));
    for (const file of [PUMP_FILES.spec, "token"]) cpSync(join(pump.folder, file), join(copy, file));
    const second = spawn(process.execPath, [PUMP_MAIN, copy], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    second.stdout.on("data", (text: Buffer) => (said += text.toString()));
    expect(await once(second, "exit")).toEqual([0, null]);
    expect(said).toContain("the API refuses this pump");
    const { stdout, result } = await pump.runJob("cat in.pipe; true > out.pipe");
    expect([stdout, result]).toEqual(["once", { status: "Succeeded" }]);
  });

  test("because another attempt has its place marks nothing", async () => {
    const pump = await suite.start({ outputs: { out } });
    await suite.world.api.records.open(addressOf(pump), "the token of the next attempt");
    await pump.channel.command({ command: "abandon" }, 0);
    await eventually(() => pump.log().includes("The server refuses this pump"), { withinMs: 30_000 });
    expect(await suite.world.blobsOf(out)).toEqual([]);
    expect(await pump.channel.state()).toEqual({ phase: "Unknown" });
  }, 40_000);
});

describe("an answer that is not ours", () => {
  const odd: [number, string][] = [
    [502, "<html>bad gateway</html>"],
    [403, "<html>forbidden</html>"],
    [404, "not found"],
    [400, JSON.stringify({ error: { code: "InvalidRoute", message: "An older API has no such route" } })],
    [200, "<html>"],
    [200, JSON.stringify({ status: "ok" })],
    [503, JSON.stringify({ error: { code: "Unavailable", message: "The database is not available" } })],
  ];

  test("is waited out, and one that comes too soon does not make a pump ask without a pause", async () => {
    const folder = mkdtempSync(join(tmpdir(), "odd-api-"));
    let count = 0;
    const server = createServer((_req, res) => {
      const [status, text] = odd[count++] ?? [200, JSON.stringify({ commands: [] })];
      res.writeHead(status).end(text);
    });
    await once(server.listen(join(folder, "s")), "listening");
    const pump = startEnd({ url: `http+unix://${folder}/s:`, path: "/pumps/1-a/0" }, "t".repeat(30));
    onTestFinished(async () => {
      await pump.close();
      server.closeAllConnections();
      await once(server.close(), "close");
      rmSync(folder, { recursive: true });
    });
    expect(await pump.begin()).toBe(true);
    expect(count).toBeGreaterThan(odd.length);
    await stays(() => count < odd.length + 10);
    expect(pump.refused).toEqual([]);
  });
});

describe("a request", () => {
  const twoPumps = async (): Promise<[OpenedPump, OpenedPump]> => {
    const { api, plane } = suite.world;
    const open = async () =>
      api.open([pipe("input", await plane.newBuffer()), pipe("output", await plane.newBuffer())]);
    return [await open(), await open()];
  };

  test("with the token of another run, with none, or with one that has expired is refused", async () => {
    const [one, other] = await twoPumps();
    const refused = { status: 403, body: { error: { code: "AuthenticationFailed", message: expect.any(String) } } };
    const refusals = async (given: Pick<OpenedPump, "access"> & { token?: string }): Promise<void> => {
      expect(await ask(given, "POST", "/poll", POLL)).toEqual(refused);
      expect(await ask(given, "PUT", "/result", RESULT)).toEqual(refused);
      expect(await ask(given, "POST", `/buffers/${out}/access`)).toEqual(refused);
    };
    await refusals({ access: one.access, token: other.token });
    await refusals({ access: one.access });
    await refusals({ access: one.access, token: "short" });
    for (const path of ["/pumps/none/0", "/pumps/1-uid1/x", "/pumps/1-uid1/-1", "/pumps/999-uid999/0"])
      await refusals({ access: { ...one.access, path }, token: one.token });
    expect(suite.world.api.records.rows.get(pumpKeyOf(one.pump))?.report).toBeUndefined();
    expect((await ask(one, "POST", "/poll", POLL)).status).toBe(200);
    suite.world.api.records.endRun(one.pump.run);
    await refusals(one);
  });

  test("for a URL is answered for the buffers of the run only, and to write for its outputs only", async () => {
    const { api, plane } = suite.world;
    const [input, output, foreign] = [await plane.newBuffer(), await plane.newBuffer(), await plane.newBuffer()];
    const pump = await api.open([pipe("input", input), pipe("output", output)]);
    const access = (id: string, writeable: boolean) =>
      ask(pump, "POST", `/buffers/${id}/access?writeable=${writeable}`);
    for (const [id, writeable] of [
      [input, false],
      [output, false],
      [output, true],
    ] as const)
      expect(await access(id, writeable)).toMatchObject({ status: 201, body: { uri: expect.stringContaining(id) } });
    for (const [id, writeable] of [
      [foreign, false],
      [foreign, true],
      [input, true],
      ["..", false],
    ] as const)
      expect(await access(id, writeable)).toMatchObject({ status: 403, body: { error: { code: "Forbidden" } } });
  });

  test("with a result is answered twice, and with another one refused", async () => {
    const [pump] = await twoPumps();
    const put = (body: object | string) => ask(pump, "PUT", "/result", body);
    expect([await put(RESULT), await put(RESULT)]).toEqual([
      { status: 200, body: {} },
      { status: 200, body: {} },
    ]);
    const other = { ...RESULT, result: { status: "Failed", message: "late" } };
    for (const body of [other, { ...RESULT, instance: "two" }])
      expect(await put(body)).toMatchObject({ status: 409, body: { error: { code: "Conflict" } } });
    expect(pump.resultOf()).toEqual({ status: "Succeeded" });
  });

  test.each(["", "{", "[]", "{}", `{"instance":"one","result":{"status":"Fine"}}`])(
    "with the body '%s' is malformed, and records nothing",
    async (body) => {
      const [pump] = await twoPumps();
      const malformed = { status: 400, body: { error: { code: "BadRequest" } } };
      expect(await ask(pump, "POST", "/poll", body)).toMatchObject(malformed);
      expect(await ask(pump, "PUT", "/result", body)).toMatchObject(malformed);
      expect(await pump.channel.state()).toEqual({ phase: "Unknown" });
    },
  );

  test("that is too large is refused", async () => {
    const [pump] = await twoPumps();
    const body = JSON.stringify({ ...POLL, more: "x".repeat(100_000) });
    expect((await ask(pump, "POST", "/poll", body)).status).toBe(413);
  });
});

test("no token is in a log, an argument or the specification", async () => {
  const pump = await suite.start({ inputs: { in: await suite.world.fill(Buffer.from("x")) }, outputs: { out } });
  const token = readFileSync(join(pump.folder, "token"), "utf8");
  const argv = readFileSync(`/proc/${pump.pid}/cmdline`, "utf8") + readFileSync(`/proc/${pump.pid}/environ`, "utf8");
  await suite.world.api.stop();
  await eventually(() => pump.log().includes("retrying a request to the API"), { withinMs: 20_000 });
  await suite.world.api.listen();
  await pump.runJob("cat in.pipe > out.pipe");
  const { logged } = suite.world.api;
  expect(token).toMatch(/^[\w-]{43}$/);
  expect(logged.length).toBeGreaterThan(0);
  const written = [pump.log(), argv, readFileSync(join(pump.folder, PUMP_FILES.spec), "utf8"), ...logged];
  for (const text of written) expect(text).not.toContain(token);
});
