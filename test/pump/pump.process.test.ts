import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { beforeEach, describe, expect, test } from "vitest";
import { PUMP_FILES } from "../../model/run/pump.ts";
import { fromUrl } from "../../buffers/access/access.ts";
import { blobsOver } from "../../buffers/access/blob-client.ts";
import { writeBuffer } from "../../buffers/format/writer.ts";
import { atRest, eventually } from "../eventually.ts";
import { testPumps } from "./pump-suite.ts";

describe.each(["store", "urls"] as const)("buffers reached by %s:", (way) => {
  testPumps(way, (suite) => {
    let out: string;

    beforeEach(async () => {
      out = await suite.world.plane.newBuffer();
    });

    const text = (bytes: Buffer): string => bytes.toString();
    const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
    const COMPLETE = `{"status":"complete"}`;
    const FAILED = `{"status":"failed"}`;

    describe("a job that uses its pipes", () => {
      test("reads its input to the end, and its output is complete with the same bytes", async () => {
        const pump = await suite.start({
          inputs: { in: await suite.world.fill(Buffer.from("hello")) },
          outputs: { out },
        });
        const { code, result } = await pump.runJob("cat in.pipe > out.pipe");
        expect({ code, result }).toEqual({ code: 0, result: { status: "Succeeded" } });
        expect(text(await suite.world.contentOf(out))).toBe("hello");
        expect(await suite.world.endOf(out)).toBe(COMPLETE);
        expect(await pump.exit).toBe(0);
        await eventually(() => pump.states().at(-1)?.phase === "Succeeded");
      });

      test("sees the end of an empty input at once", async () => {
        const pump = await suite.start({ inputs: { in: await suite.world.fill(Buffer.alloc(0)) }, outputs: { out } });
        const { code, result } = await pump.runJob("wc -c < in.pipe > out.pipe");
        expect([code, result.status]).toEqual([0, "Succeeded"]);
        expect(text(await suite.world.contentOf(out)).trim()).toBe("0");
      });

      test("moves 64 MiB unchanged", async () => {
        const bytes = randomBytes(64 << 20);
        const pump = await suite.start({ inputs: { in: await suite.world.fill(bytes) }, outputs: { out } });
        const { result } = await pump.runJob("cat in.pipe > out.pipe");
        expect(result).toEqual({ status: "Succeeded" });
        expect(sha(await suite.world.contentOf(out))).toBe(sha(bytes));
      });

      test("can have several inputs and outputs", async () => {
        const second = await suite.world.plane.newBuffer();
        const inputs = { a: await suite.world.fill(Buffer.from("1")), b: await suite.world.fill(Buffer.from("2")) };
        const pump = await suite.start({ inputs, outputs: { c: out, d: second } });
        await pump.runJob("cat a.pipe > c.pipe; cat b.pipe > d.pipe");
        expect(text(await suite.world.contentOf(out))).toBe("1");
        expect(text(await suite.world.contentOf(second))).toBe("2");
      });

      test("can write one pipe from several processes at once", async () => {
        const pump = await suite.start({ outputs: { out } });
        await pump.runJob("(echo a; sleep 0.3; echo b) > out.pipe & (sleep 0.1; echo c; sleep 0.4) > out.pipe & wait");
        expect(text(await suite.world.contentOf(out))).toBe("a\nc\nb\n");
      });

      test("shows its bytes to readers while it runs", async () => {
        const pump = await suite.start({ outputs: { out } });
        pump.startJob("exec 3> out.pipe; echo first >&3; sleep 60");
        await expect.poll(() => suite.world.blobsOf(out), { timeout: 3000 }).toContain("00/000");
      });

      test("can write a lot: the pump stays small", async () => {
        const pump = await suite.start({ outputs: { out } });
        const before = pump.rssMiB();
        const job = pump.startJob(`head -c ${256 << 20} /dev/zero > out.pipe`);
        await job.ended;
        expect(pump.rssMiB() - before).toBeLessThan(120);
        pump.tell("jobEnded");
        expect(await eventually(() => pump.result())).toEqual({ status: "Succeeded" });
      });

      test("can fail halfway: its partial output is complete", async () => {
        const pump = await suite.start({ outputs: { out } });
        const { code, result } = await pump.runJob("echo part > out.pipe; exit 3");
        expect([code, result.status]).toEqual([3, "Succeeded"]);
        expect(text(await suite.world.contentOf(out))).toBe("part\n");
      });

      test("can read while its input is still being written", async () => {
        const input = await suite.world.plane.newBuffer();
        const pump = await suite.start({ inputs: { in: input }, outputs: { out } });
        const run = pump.runJob("cat in.pipe > out.pipe");
        async function* slowly(): AsyncGenerator<Uint8Array> {
          yield Buffer.from("one ");
          await eventually(() => suite.world.blobsOf(out).then((blobs) => blobs.includes("00/000")));
          yield Buffer.from("two");
        }
        await writeBuffer(slowly(), blobsOver(fromUrl(suite.world.plane.urlOf(input, true))), { flushIntervalMs: 100 });
        expect((await run).result.status).toBe("Succeeded");
        expect(text(await suite.world.contentOf(out))).toBe("one two");
      });
    });

    describe("a job that does not", () => {
      test("never opens its pipes: it succeeds, and its outputs are empty", async () => {
        const pump = await suite.start({
          inputs: { in: await suite.world.fill(randomBytes(1 << 20)) },
          outputs: { out },
        });
        expect(await suite.world.blobsOf(out)).toEqual([]);
        const { result } = await pump.runJob("true");
        expect(result).toEqual({ status: "Succeeded" });
        expect(await suite.world.contentOf(out)).toHaveLength(0);
        expect(await suite.world.endOf(out)).toBe(COMPLETE);
      });

      test("closes its input early", async () => {
        const pump = await suite.start({
          inputs: { in: await suite.world.fill(randomBytes(8 << 20)) },
          outputs: { out },
        });
        const { code, result } = await pump.runJob("head -c 1 in.pipe > out.pipe; sleep 0.2");
        expect([code, result]).toEqual([0, { status: "Succeeded" }]);
        expect(await suite.world.contentOf(out)).toHaveLength(1);
      });

      test("ends while its input is still arriving", async () => {
        const pump = await suite.start({ inputs: { in: await suite.world.plane.newBuffer() } });
        const { result } = await pump.runJob("exec 3< in.pipe; exit 0");
        expect(result).toEqual({ status: "Succeeded" });
      });

      test("opens its input again after the end: it gets an end at once", async () => {
        const pump = await suite.start({ inputs: { in: await suite.world.fill(Buffer.from("once")) } });
        const { code, stdout, result } = await pump.runJob("cat in.pipe; sleep 0.2; cat in.pipe; cat in.pipe");
        expect([code, stdout, result.status]).toEqual([0, "once", "Succeeded"]);
      });

      test("opens its input again while a slow writer still fills it: it waits for the rest", async () => {
        const bufferId = await suite.world.plane.newBuffer();
        const source = new Readable({ read() {} });
        const writing = writeBuffer(source, blobsOver(fromUrl(suite.world.plane.urlOf(bufferId, true))), {
          flushIntervalMs: 1,
        });
        const pump = await suite.start({ inputs: { in: bufferId } });
        const job = pump.startJob("read -r first < in.pipe; echo $first; cat in.pipe");
        let seen = "";
        job.process.stdout!.on("data", (data: Buffer) => (seen += data.toString()));
        source.push("one\n");
        await eventually(() => seen === "one\n");
        source.push("two\n");
        await eventually(() => seen === "one\ntwo\n");
        source.push(null);
        await writing;
        expect(await job.ended).toMatchObject({ code: 0, stdout: "one\ntwo\n" });
      });

      test("opens its output again without writing: that is fine", async () => {
        const pump = await suite.start({ outputs: { out } });
        const { result } = await pump.runJob(
          "echo x > out.pipe; sleep 0.2; true > out.pipe; sleep 0.1; true > out.pipe",
        );
        expect(result).toEqual({ status: "Succeeded" });
        expect(text(await suite.world.contentOf(out))).toBe("x\n");
      });

      test.each([
        ["while it runs", "echo y > out.pipe; sleep 60"],
        ["as its last act", "echo y > out.pipe"],
      ])("writes after the end of its output, %s: the pump fails", async (_name, rest) => {
        const pump = await suite.start({ outputs: { out } });
        const job = pump.startJob(`echo x > out.pipe; until [ -e over ]; do sleep 0.02; done; ${rest}`);
        // Two writes in quick succession look like one to the pump.
        await eventually(() => pump.states().at(-1)?.pipeEnds === 1);
        pump.tell("jobRunsOn", { pipeEnds: 1 });
        await eventually(() => pump.log().includes("buffer complete"));
        writeFileSync(join(pump.folder, PUMP_FILES.pipes, "over"), "");
        if (!rest.endsWith("60")) await job.ended;
        else await eventually(() => pump.states().at(-1)?.phase === "Failed");
        job.end();
        pump.tell("jobEnded");
        const { status, message } = await eventually(() => pump.result());
        expect(status).toBe("Failed");
        expect(message).toContain("'out' again after its end");
        expect(await suite.world.endOf(out)).toBe(COMPLETE);
      });

      test("moves a file over its output pipe: the pump fails instead of losing it", async () => {
        const pump = await suite.start({ outputs: { out } });
        const { result } = await pump.runJob("echo x > file; mv file out.pipe");
        expect(result.message).toContain("replaced the output pipe 'out'");
        expect(await suite.world.endOf(out)).toBe(FAILED);
      });

      test("reads a large input slowly: the pump stays small", async () => {
        const pump = await suite.start({ inputs: { in: await suite.world.fill(randomBytes(256 << 20)) } });
        const before = pump.rssMiB();
        pump.startJob("exec 3< in.pipe; while read -r -N 1 -u 3; do sleep 0.1; done");
        const whenFull = await atRest(() => Math.round(pump.rssMiB()), { everyMs: 50 });
        expect(whenFull - before).toBeLessThan(60);
        pump.tell("stop");
        expect(await eventually(() => pump.result())).toMatchObject({ status: "Failed", cutOff: true });
      });
    });
  });
});
