import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { beforeEach, describe, expect, test } from "vitest";
import { parseResult } from "../../model/run/pump-messages.ts";
import type { PumpResult } from "../../model/run/pump.ts";
import { podEnd } from "../../pump/pod-end.ts";
import { eventually } from "../eventually.ts";
import { PUMP_MAIN, type PumpProcess } from "./pump-process.ts";
import { pumpSuite } from "./pump-suite.ts";

/** How much of a termination message a cluster keeps. */
const KEPT_BYTES = 4096;

const messageOf = ({ folder }: PumpProcess): PumpResult | undefined =>
  parseResult(JSON.parse(readFileSync(join(folder, "termination"), "utf8")));

describe("a pump in a pod", () => {
  const suite = pumpSuite("urls", "the API");
  let out: string;
  beforeEach(async () => {
    out = await suite.world.plane.newBuffer();
  });

  test("leaves its success as its termination message too, with exit code 0", async () => {
    const pump = await suite.start({ inPod: true, outputs: { out } });
    const { result } = await pump.runJob("echo all > out.pipe");
    expect(result).toEqual({ status: "Succeeded" });
    expect(await pump.exit).toBe(0);
    expect(messageOf(pump)).toEqual(result);
    expect((await suite.world.contentOf(out)).toString()).toBe("all\n");
  });

  test("leaves its failure with exit code 1", async () => {
    const pump = await suite.start({ inPod: true, outputs: { out } });
    const job = pump.startJob("exec 3> out.pipe; echo part >&3; sleep 60");
    await eventually(async () => (await suite.world.blobsOf(out)).length > 1);
    job.end();
    pump.tell("jobEnded", { cutOff: true });
    expect(await pump.exit).toBe(1);
    const message = "The job was cut off before its outputs were complete";
    expect(messageOf(pump)).toEqual({ status: "Failed", message, cutOff: true });
    expect(pump.result()).toEqual(messageOf(pump));
    expect(await suite.world.hasFinalBlob(out)).toBe(false);
  });

  test("takes SIGTERM for the end of its job, which has the reason", async () => {
    const pump = await suite.start({ inPod: true, outputs: { out } });
    const job = pump.startJob("exec 3> out.pipe; echo part >&3; sleep 60");
    await eventually(async () => (await suite.world.blobsOf(out)).length > 1);
    process.kill(pump.pid, "SIGTERM");
    const failure = { message: "The pod is being ended (SIGTERM)", cutOff: true };
    await eventually(() => pump.states().at(-1)?.phase === "Failed");
    expect(pump.states().at(-1)).toEqual({ phase: "Failed", ...failure });
    expect(job.process.exitCode).toBe(null);
    job.end();
    pump.tell("jobEnded", { cutOff: true });
    expect(await pump.exit).toBe(1);
    expect(messageOf(pump)).toEqual({ status: "Failed", ...failure });
  });

  test("that our API refuses ends with a failure and leaves the buffers alone", async () => {
    const pump = await suite.start({ inPod: true, outputs: { out } });
    const before = await suite.world.blobsOf(out);
    // A second process with its instructions and its token.
    const second = spawn(process.execPath, [PUMP_MAIN, pump.folder], { stdio: ["ignore", "pipe", "inherit"] });
    const [log, [exitCode]] = await Promise.all([text(second.stdout), once(second, "exit")]);
    expect(log).toContain("the API refuses this pump");
    expect(exitCode).toBe(1);
    expect(await suite.world.blobsOf(out)).toEqual(before);
  });
});

describe("a termination message", () => {
  test.each<[string, string]>([
    ["a long one", "x".repeat(20_000)],
    ["characters that JSON writes with six", "\u0001".repeat(20_000)],
    ["characters of four bytes, cut in the middle", `a${"😀".repeat(10_000)}`],
  ])("fits into what a cluster keeps: %s", async (_name, message) => {
    const file = join(import.meta.dirname, `termination-${process.pid}`);
    const end = podEnd({ begin: async () => true, show() {}, leave: async () => {} }, file, () => {});
    await end.leave({ status: "Failed", message, cutOff: true });
    const written = readFileSync(file);
    rmSync(file);
    expect(written.byteLength).toBeLessThan(KEPT_BYTES);
    expect(parseResult(JSON.parse(written.toString()))).toMatchObject({ status: "Failed", cutOff: true });
  });
});
