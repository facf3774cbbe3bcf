import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { eventually } from "../eventually.ts";
import type { PumpProcess } from "./pump-process.ts";
import { testPumps } from "./pump-suite.ts";

testPumps("urls", (suite) => {
  let out: string;

  beforeEach(async () => {
    suite.world.ttlSeconds = 3600;
    out = await suite.world.plane.newBuffer();
  });

  const resultOf = (pump: PumpProcess) => eventually(() => pump.result());
  /** An attempt to reach the API or the data plane has failed. */
  const hasWarned = (pump: PumpProcess): boolean => pump.log().includes('"level":"warn"');
  const started = (bufferId: string) =>
    eventually(() => existsSync(join(suite.world.plane.dir, "buffers", bufferId, "00-000")));

  test("its log contains no signature", async () => {
    const pump = await suite.start({ inputs: { in: await suite.world.fill(Buffer.from("x")) }, outputs: { out } });
    await pump.runJob("cat in.pipe > out.pipe");
    expect(pump.log()).not.toContain("sig=");
  });

  test("a buffer that does not exist fails the pump", async () => {
    const pump = await suite.start({ inputs: { in: "a".repeat(26) } });
    await eventually(() => pump.states().find(({ phase }) => phase === "Failed"));
    pump.tell("jobEnded");
    expect((await resultOf(pump)).message).toBe("The input 'in' failed: the buffer does not exist");
  });

  test("an outage of the data plane in midstream is waited out, in both directions", async () => {
    const bytes = randomBytes(48 << 20);
    const pump = await suite.start({ inputs: { in: await suite.world.fill(bytes) }, outputs: { out } });
    const run = pump.runJob("exec 3< in.pipe 4> out.pipe; head -c 9000000 <&3 >&4; sleep 1; cat <&3 >&4");
    await started(out);
    await suite.world.plane.stop();
    await eventually(() => hasWarned(pump));
    expect(pump.states().at(-1)?.phase).toBe("Running");
    await suite.world.plane.listen();
    expect((await run).result).toEqual({ status: "Succeeded" });
    expect((await suite.world.contentOf(out)).equals(bytes)).toBe(true);
  });

  test("an API and a data plane that are down at the start are waited out", async () => {
    const input = await suite.world.fill(Buffer.from("late"));
    const asked = suite.world.api.asked.length;
    await suite.world.api.stop();
    await suite.world.plane.stop();
    const pump = await suite.start({ inputs: { in: input }, outputs: { out } });
    const run = pump.runJob("cat in.pipe > out.pipe");
    await eventually(() => hasWarned(pump));
    await suite.world.api.listen();
    await eventually(() => suite.world.api.asked.length > asked);
    await suite.world.plane.listen();
    expect((await run).result).toEqual({ status: "Succeeded" });
    expect((await suite.world.contentOf(out)).toString()).toBe("late");
  });

  test("a stop while everything is down still leaves a result", async () => {
    await suite.world.api.stop();
    await suite.world.plane.stop();
    try {
      const pump = await suite.start({ inputs: { in: "b".repeat(26) }, outputs: { out } });
      pump.startJob("echo x > out.pipe; cat in.pipe");
      await eventually(() => hasWarned(pump));
      pump.tell("stop");
      // Over the API, the stop arrives with the next answer.
      if (!suite.isLocal) await suite.world.api.listen();
      expect((await resultOf(pump)).message).toBe("The run was stopped");
    } finally {
      if (suite.isLocal) await suite.world.api.listen();
      await suite.world.plane.listen();
    }
  });

  test("URLs that expire in midstream are renewed", async () => {
    // Its end is cut to whole seconds, so a URL lives for at least one: enough for a request on a busy machine.
    suite.world.ttlSeconds = 2;
    const pump = await suite.start({ outputs: { out } });
    const run = pump.runJob("(for i in 1 2 3 4 5 6 7; do echo $i; sleep 1; done) > out.pipe");
    expect((await run).result).toEqual({ status: "Succeeded" });
    expect((await suite.world.contentOf(out)).toString()).toBe("1\n2\n3\n4\n5\n6\n7\n");
    const asked = suite.world.api.asked.filter((path) => path.includes(out));
    expect(asked.length).toBeGreaterThan(2);
    expect(asked[0]).toContain("?api-version=1.0&ttl=01%3A00%3A00&writeable=true");
  });
});
