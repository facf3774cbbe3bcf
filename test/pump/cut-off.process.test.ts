import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { HELD_MS, PumpWatch } from "../../waiting/pump-watch.ts";
import type { PumpState } from "../../model/run/lifecycle.ts";
import { eventually, stays } from "../eventually.ts";
import type { PumpProcess } from "./pump-process.ts";
import { testPumps } from "./pump-suite.ts";

testPumps("store", (suite) => {
  let out: string;
  let second: string;

  beforeEach(async () => {
    out = await suite.world.plane.newBuffer();
    second = await suite.world.plane.newBuffer();
  });

  const COMPLETE = `{"status":"complete"}`;
  const FAILED = `{"status":"failed"}`;
  const CUT_OFF = { status: "Failed", message: "The job was cut off before its outputs were complete", cutOff: true };
  const resultOf = (pump: PumpProcess) => eventually(() => pump.result());
  const pipeEndsOf = (pump: PumpProcess): number | undefined => pump.states().at(-1)?.pipeEnds;
  const isStored = (bufferId: string) => eventually(() => suite.world.plane.store.head(bufferId, "00/000"));

  describe("an output whose pipe has ended while the job may still run", () => {
    test("is stored up to its final blob, which waits for the word on the job", async () => {
      const pump = await suite.start({ outputs: { out } });
      const job = pump.startJob("echo part > out.pipe; sleep 60");
      await eventually(() => pipeEndsOf(pump) === 1);
      await isStored(out);
      await stays(async () => !(await suite.world.hasFinalBlob(out)));
      expect(await suite.world.blobsOf(out)).toEqual([".bufferstart", "00/000"]);
      pump.tell("jobRunsOn", { pipeEnds: 1 });
      expect((await suite.world.contentOf(out)).toString()).toBe("part\n");
      await eventually(async () => (await suite.world.endOf(out)) === COMPLETE);
      expect(job.process.exitCode).toBe(null);
      await eventually(() => pipeEndsOf(pump) === undefined);
    });

    test("is not completed by a word on outputs that ended before it", async () => {
      const pump = await suite.start({ outputs: { out, second } });
      const job = pump.startJob("echo 1 > out.pipe; read; echo 2 > second.pipe; sleep 60");
      await eventually(() => pipeEndsOf(pump) === 1);
      job.process.stdin!.write("\n");
      await eventually(() => pipeEndsOf(pump) === 2);
      pump.tell("jobRunsOn", { pipeEnds: 1 });
      expect((await suite.world.contentOf(out)).toString()).toBe("1\n");
      expect(pipeEndsOf(pump)).toBe(2);
      pump.tell("jobEnded", { cutOff: true });
      expect(await resultOf(pump)).toEqual(CUT_OFF);
      expect([await suite.world.endOf(out), await suite.world.endOf(second)]).toEqual([COMPLETE, FAILED]);
      expect(await suite.world.hasFinalBlob(second)).toBe(false);
    });

    test("is completed by a watcher that saw its job a second later, and the watcher hears the result", async () => {
      const pump = await suite.start({ outputs: { out } });
      const [changes, heldAtMs]: [PumpState[], number[]] = [[], []];
      const watch = new PumpWatch(
        pump.channel,
        (state) => changes.push(state),
        (atMs) => heldAtMs.push(atMs),
      );
      onTestFinished(() => watch.close());
      expect(await watch.look()).toEqual({ phase: "Running" });
      const job = pump.startJob("echo part > out.pipe; sleep 60");
      const [atMs = 0] = await eventually(() => (heldAtMs.length > 0 ? heldAtMs : undefined));
      expect(watch.jobRunsOn(atMs)).toBe(true);
      expect(watch.jobRunsOn(atMs + HELD_MS)).toBe(false);
      expect((await suite.world.contentOf(out)).toString()).toBe("part\n");
      await eventually(() => !watch.jobRunsOn(0));
      job.end();
      watch.send({ command: "jobEnded", cutOff: true });
      await eventually(() => changes.length > 0);
      expect(changes).toEqual([{ phase: "Succeeded" }]);
      expect(await watch.look()).toEqual({ phase: "Succeeded" });
    });

    test("is completed by the exit of a job that was not cut off", async () => {
      const pump = await suite.start({ outputs: { out } });
      const { result } = await pump.runJob("echo part > out.pipe; exit 3");
      expect(result).toEqual({ status: "Succeeded" });
      expect((await suite.world.contentOf(out)).toString()).toBe("part\n");
    });

    test("is completed by a worker that does not say how the job ended, as it was before", async () => {
      const pump = await suite.start({ outputs: { out } });
      await pump.startJob("echo part > out.pipe").ended;
      pump.tell("jobEnded");
      expect(await resultOf(pump)).toEqual({ status: "Succeeded" });
    });

    test("fails, if the job writes to it again before it is completed", async () => {
      const pump = await suite.start({ outputs: { out } });
      const job = pump.startJob("echo 1 > out.pipe; read; echo 2 > out.pipe");
      // Two writes in quick succession look like one to the pump.
      await eventually(() => pipeEndsOf(pump) === 1);
      job.process.stdin!.write("\n");
      await job.ended;
      pump.tell("jobEnded");
      expect(await resultOf(pump)).toMatchObject({
        status: "Failed",
        message: expect.stringContaining("again after its end"),
      });
    });
  });

  describe("a job that was cut off leaves its outputs failed, without a final blob:", () => {
    test.each([
      ["never opened", "sleep 60", async () => {}],
      ["open", "exec 3> out.pipe; echo part >&3; sleep 60", async () => void (await isStored(out))],
      [
        "ended just before",
        "echo part > out.pipe; sleep 60",
        async (pump) => void (await eventually(() => pipeEndsOf(pump) === 1)),
      ],
    ] as [string, string, (pump: PumpProcess) => Promise<void>][])("%s", async (_name, script, moment) => {
      const pump = await suite.start({ outputs: { out } });
      const job = pump.startJob(script);
      await moment(pump);
      job.end();
      await job.ended;
      pump.tell("jobEnded", { cutOff: true });
      expect(await resultOf(pump)).toEqual(CUT_OFF);
      expect(await suite.world.endOf(out)).toBe(FAILED);
      expect(await suite.world.hasFinalBlob(out)).toBe(false);
      await expect(suite.world.contentOf(out)).rejects.toThrow("permanently failed");
    });

    test("but one that is complete stays complete, and the pump has not failed", async () => {
      const pump = await suite.start({ outputs: { out } });
      const job = pump.startJob("echo all > out.pipe; sleep 60");
      await eventually(() => pipeEndsOf(pump) === 1);
      pump.tell("jobRunsOn", { pipeEnds: 1 });
      job.end();
      pump.tell("jobEnded", { cutOff: true });
      expect(await resultOf(pump)).toEqual({ status: "Succeeded" });
      expect((await suite.world.contentOf(out)).toString()).toBe("all\n");
      expect(await suite.world.endOf(out)).toBe(COMPLETE);
    });

    test("a pump that had failed before keeps its own failure", async () => {
      const pump = await suite.start({ outputs: { out } });
      const job = pump.startJob("exec 3> out.pipe; echo part >&3; sleep 60");
      await isStored(out);
      process.kill(pump.pid, "SIGTERM");
      await eventually(() => pump.states().at(-1)?.phase === "Failed");
      job.end();
      pump.tell("jobEnded", { cutOff: true });
      expect(await resultOf(pump)).toEqual({ status: "Failed", message: "The pump was stopped by SIGTERM" });
    });
  });
});
