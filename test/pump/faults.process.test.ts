import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { Readable } from "node:stream";
import { beforeEach, describe, expect, test } from "vitest";
import { PUMP_FILES } from "../../model/run/pump.ts";
import { fromUrl } from "../../buffers/access/access.ts";
import { blobsOver } from "../../buffers/access/blob-client.ts";
import { markFailed, writeBuffer } from "../../buffers/format/writer.ts";
import { eventually, stays } from "../eventually.ts";
import { PUMP_MAIN, type PumpProcess } from "./pump-process.ts";
import { testPumps } from "./pump-suite.ts";

testPumps("store", (suite) => {
  let out: string;

  beforeEach(async () => {
    out = await suite.world.plane.newBuffer();
  });

  const resultOf = (pump: PumpProcess) => eventually(() => pump.result());
  const failureOf = (pump: PumpProcess) => eventually(() => pump.states().find(({ phase }) => phase === "Failed"));
  const blobFile = (bufferId: string, path: string): string =>
    join(suite.world.plane.dir, "buffers", bufferId, path.replaceAll("/", "-"));
  const started = (bufferId: string) => eventually(() => existsSync(blobFile(bufferId, "00/000")));
  const STOPPED = { status: "Failed", message: "The run was stopped", cutOff: true };
  const FAILED = `{"status":"failed"}`;

  describe("an incomplete input", () => {
    const broken: [string, () => Promise<string>, string][] = [
      [
        "whose writer failed",
        async () => {
          const id = await suite.world.plane.newBuffer();
          async function* half(): AsyncGenerator<Uint8Array> {
            yield Buffer.from("first half");
            await eventually(() => suite.world.plane.store.head(id, "00/000"));
            throw new Error("the writer broke");
          }
          const access = blobsOver(fromUrl(suite.world.plane.urlOf(id, true)));
          await writeBuffer(half(), access, { flushIntervalMs: 20 }).catch(() => {});
          return id;
        },
        "permanently failed state",
      ],
      [
        "in which a bit was flipped",
        async () => {
          const id = await suite.world.fill(randomBytes(9 << 20));
          const file = blobFile(id, "00/001");
          const bytes = readFileSync(file);
          bytes[bytes.length - 1]! ^= 1;
          rmSync(file);
          writeFileSync(file, bytes);
          return id;
        },
        "MD5 mismatch",
      ],
      [
        "in which a blob is missing",
        async () => {
          const id = await suite.world.fill(randomBytes(9 << 20));
          rmSync(blobFile(id, "00/001"));
          return id;
        },
        "is missing",
      ],
      ["that does not exist", async () => "a".repeat(26), "does not exist"],
    ];

    test.each(broken)(
      "%s leaves the pipe open, fails the outputs and reports the reason",
      async (_name, make, reason) => {
        const pump = await suite.start({ inputs: { in: await make() }, outputs: { out } });
        const job = pump.startJob("echo begun > out.pipe; cat in.pipe > /dev/null; echo the job saw an end");
        const { message } = await failureOf(pump);
        expect(message).toContain(`The input 'in' failed: `);
        expect(message).toContain(reason);
        await stays(() => job.process.exitCode === null && pump.result() === undefined);
        job.end();
        expect((await job.ended).stdout).toBe("");
        pump.tell("jobEnded");
        expect(await resultOf(pump)).toEqual({ status: "Failed", message });
      },
    );

    test("fails the outputs that are open or were never opened", async () => {
      const [open, untouched] = [out, await suite.world.plane.newBuffer()];
      const input = await suite.world.plane.newBuffer();
      const pump = await suite.start({ inputs: { in: input }, outputs: { open, untouched } });
      const job = pump.startJob("exec 3> open.pipe; echo part >&3; cat in.pipe; echo more >&3; sleep 60");
      await started(open);
      await markFailed(blobsOver(fromUrl(suite.world.plane.urlOf(input, true))), "another");
      await expect.poll(() => suite.world.endOf(open)).toBe(FAILED);
      expect(await suite.world.blobsOf(untouched)).toEqual([]);
      job.end();
      pump.tell("jobEnded");
      await resultOf(pump);
      expect(await suite.world.endOf(untouched)).toBe(FAILED);
      expect(await suite.world.blobsOf(untouched)).toEqual([".bufferend", ".bufferstart"]);
    });
  });

  describe("an output that another writer has written", () => {
    test("stays unchanged, and the pump fails", async () => {
      const source = new Readable({ read() {} });
      const other = writeBuffer(source, blobsOver(fromUrl(suite.world.plane.urlOf(out, true))));
      await eventually(() => existsSync(blobFile(out, ".bufferstart")));
      const pump = await suite.start({ outputs: { out } });
      const { result } = await pump.runJob("echo mine > out.pipe");
      expect(result.message).toContain("The output 'out' failed: The buffer has already been written to");
      source.push("theirs");
      source.push(null);
      await other;
      expect((await suite.world.contentOf(out)).toString()).toBe("theirs");
    });

    test("stays unchanged also when the pump is stopped before its job has opened the pipe", async () => {
      const source = new Readable({ read() {} });
      const other = writeBuffer(source, blobsOver(fromUrl(suite.world.plane.urlOf(out, true))));
      await eventually(() => existsSync(blobFile(out, ".bufferstart")));
      const pump = await suite.start({ outputs: { out } });
      pump.tell("stop");
      await resultOf(pump);
      source.push("theirs");
      source.push(null);
      await other;
      expect((await suite.world.contentOf(out)).toString()).toBe("theirs");
    });
  });

  describe("a complete mark that is refused", () => {
    test("is written again until it is stored, and only then the pump has succeeded", async () => {
      mkdirSync(blobFile(out, ".bufferend"));
      const pump = await suite.start({ outputs: { out } });
      await pump.startJob("echo x > out.pipe").ended;
      pump.tell("jobEnded");
      await eventually(() => pump.log().includes("The end mark could not be written"));
      await stays(() => pump.result() === undefined);
      rmdirSync(blobFile(out, ".bufferend"));
      expect(await resultOf(pump)).toEqual({ status: "Succeeded" });
      expect(await suite.world.endOf(out)).toBe(`{"status":"complete"}`);
    });

    test("is given up when the run is stopped", async () => {
      mkdirSync(blobFile(out, ".bufferend"));
      const pump = await suite.start({ outputs: { out } });
      await pump.startJob("echo x > out.pipe").ended;
      pump.tell("jobEnded");
      await eventually(() => pump.log().includes("The end mark could not be written"));
      pump.tell("stop");
      expect(await resultOf(pump)).toEqual(STOPPED);
    });
  });

  describe("commands", () => {
    test("stop in midstream marks the output failed and does not end the input", async () => {
      const pump = await suite.start({ inputs: { in: await suite.world.plane.newBuffer() }, outputs: { out } });
      const job = pump.startJob("exec 3> out.pipe; echo part >&3; cat in.pipe");
      await started(out);
      pump.tell("stop");
      expect(await resultOf(pump)).toEqual(STOPPED);
      expect(await suite.world.endOf(out)).toBe(FAILED);
      await expect(suite.world.contentOf(out)).rejects.toThrow("permanently failed");
      job.end();
    });

    test("a stop is handled before the end of the job that was killed after it, even if both wait for the pump", async () => {
      const pump = await suite.start({ outputs: { out } });
      const job = pump.startJob("exec 3> out.pipe; echo part >&3; sleep 60");
      await started(out);
      // Like a pump on an overloaded machine.
      process.kill(pump.pid, "SIGSTOP");
      await pump.channel.command({ command: "stop" }, 0);
      job.end();
      await job.ended;
      process.kill(pump.pid, "SIGCONT");
      expect(await resultOf(pump)).toEqual(STOPPED);
      expect(await suite.world.endOf(out)).toBe(FAILED);
    });

    test("stop before anything was opened marks outputs failed", async () => {
      const pump = await suite.start({ inputs: { in: await suite.world.plane.newBuffer() }, outputs: { out } });
      pump.tell("stop");
      expect((await resultOf(pump)).status).toBe("Failed");
      expect(await suite.world.blobsOf(out)).toEqual([".bufferend", ".bufferstart"]);
      expect(await suite.world.endOf(out)).toBe(FAILED);
    });

    test("stop after everything was moved is a success", async () => {
      const pump = await suite.start({ outputs: { out } });
      pump.startJob("echo x > out.pipe; sleep 60");
      await eventually(() => pump.states().at(-1)?.pipeEnds === 1);
      pump.tell("jobRunsOn", { pipeEnds: 1 });
      await eventually(() => pump.log().includes("buffer complete"));
      pump.tell("stop");
      expect((await resultOf(pump)).status).toBe("Succeeded");
    });

    test("abandon leaves no result and touches no buffer, even in a renamed folder", async () => {
      const pump = await suite.start({ inputs: { in: await suite.world.fill(Buffer.from("x")) }, outputs: { out } });
      renameSync(pump.folder, `${pump.folder}.fenced`);
      pump.tell("abandon");
      expect(await pump.exit).toBe(0);
      expect(existsSync(join(`${pump.folder}.fenced`, PUMP_FILES.result))).toBe(false);
      expect(await suite.world.blobsOf(out)).toEqual([]);
      rmSync(`${pump.folder}.fenced`, { recursive: true });
    });

    test("a pump in a renamed folder leaves its result there", async () => {
      const pump = await suite.start({ outputs: { out } });
      const renamed = `${pump.folder}.renamed`;
      renameSync(pump.folder, renamed);
      mkdirSync(pump.folder);
      pump.tell("jobEnded");
      await pump.exit;
      const isThere = suite.isLocal ? existsSync(join(renamed, PUMP_FILES.result)) : pump.result() !== undefined;
      expect(isThere).toBe(true);
      rmSync(renamed, { recursive: true });
    });
  });

  describe("the process", () => {
    test("kill -9 in midstream leaves no result and no end mark", async () => {
      const pump = await suite.start({ outputs: { out } });
      pump.startJob("exec 3> out.pipe; echo part >&3; sleep 60");
      await started(out);
      process.kill(pump.pid, "SIGKILL");
      await pump.exit;
      expect(pump.result()).toBe(undefined);
      await expect(suite.world.endOf(out)).rejects.toThrow("does not exist");
    });

    test("SIGTERM fails it, and the pipes stay open until the job has ended", async () => {
      const pump = await suite.start({ inputs: { in: await suite.world.plane.newBuffer() }, outputs: { out } });
      const job = pump.startJob("exec 3> out.pipe; echo part >&3; cat in.pipe");
      await started(out);
      process.kill(pump.pid, "SIGTERM");
      expect((await failureOf(pump)).message).toBe("The pump was stopped by SIGTERM");
      await expect.poll(() => suite.world.endOf(out)).toBe(FAILED);
      expect(job.process.exitCode).toBe(null);
      pump.tell("jobEnded");
      expect((await resultOf(pump)).status).toBe("Failed");
    });

    test.each<[string, string | undefined]>([
      ["does not exist", undefined],
      ["has no spec", ""],
      ...(suite.isLocal ? [["already has a socket", PUMP_FILES.socket] as [string, string]] : []),
      ["already has a result", PUMP_FILES.result],
    ])("a folder that %s is left alone", async (_name, file) => {
      const pump = await suite.start({ outputs: { out } });
      const folder = join(pump.folder, "other");
      if (file !== undefined) mkdirSync(folder);
      if (file) {
        writeFileSync(join(folder, PUMP_FILES.spec), readFileSync(join(pump.folder, PUMP_FILES.spec)));
        writeFileSync(join(folder, file), "theirs");
      }
      const { status, stdout, stderr } = spawnSync(process.execPath, [PUMP_MAIN, folder], { encoding: "utf8" });
      expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
      const left = file ? readFileSync(join(folder, file), "utf8") : "theirs";
      expect(left).toBe("theirs");
    });

    test("a missing pipe is reported as a failure", async () => {
      const input = await suite.world.fill(Buffer.from("x"));
      const pump = await suite.start({ inputs: { in: input }, outputs: { out }, missing: ["in"] });
      expect((await failureOf(pump)).message).toContain("in.pipe");
      const other = await suite.start({ outputs: { out: await suite.world.plane.newBuffer() }, missing: ["out"] });
      expect((await failureOf(other)).message).toContain("out.pipe");
    });

    test("an output pipe that the job has replaced before it was opened is named as such", async () => {
      const pump = await suite.start({ outputs: { out }, missing: ["out"], replaced: ["out"] });
      expect((await failureOf(pump)).message).toContain("replaced the output pipe 'out' with a file");
    });

    test("its files are private to their owner, and its log consists of JSON lines", async () => {
      const pump = await suite.start({ inputs: { in: await suite.world.fill(Buffer.from("x")) }, outputs: { out } });
      await pump.runJob("cat in.pipe > out.pipe");
      const files = suite.isLocal ? [PUMP_FILES.result] : [];
      const modes = spawnSync("stat", ["-c", "%a", "pump.json", ...files], { cwd: pump.folder, encoding: "utf8" });
      expect(modes.stdout.trim().split("\n").slice(1)).toEqual(files.map(() => "600"));
      for (const line of pump.log().trim().split("\n")) expect(JSON.parse(line)).toMatchObject({ runId: pump.runId });
    });
  });
});
