import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { fenceFolder, unfenceFolder } from "../../../docker/launch/attempt-folder.ts";
import { localPump } from "../../../docker/pump/pump-link.ts";
import { startPump } from "../../../docker/pump/pump-process.ts";
import { HELD_MS, PumpWatch } from "../../../waiting/pump-watch.ts";
import type { PumpState } from "../../../model/run/lifecycle.ts";
import { PUMP_FILES } from "../../../model/run/pump.ts";
import { eventually } from "../../eventually.ts";
import { PUMP_MAIN } from "../../pump/pump-process.ts";
import { startStarved } from "../../starved.ts";

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "tyger-link-")), "attempt");
  mkdirSync(folder);
  onTestFinished(() => rmSync(join(folder, ".."), { recursive: true, force: true }));
});
const fileOf = (name: keyof typeof PUMP_FILES): string => join(folder, PUMP_FILES[name]);

/** A pump that runs: `clients` are its open connections. */
async function listening(
  greet: (client: Socket, count: number) => void,
): Promise<{ clients: Socket[]; end: () => void }> {
  const clients: Socket[] = [];
  const server: Server = createServer((client) => {
    client.on("error", () => {});
    greet(client, clients.push(client));
  });
  server.listen(fileOf("socket"));
  await once(server, "listening");
  const end = (): void => {
    server.close();
    for (const client of clients) client.destroy();
  };
  onTestFinished(end);
  return { clients, end };
}
const sayRunning = (client: Socket): void => void client.write(`{"phase":"Running"}\n`);

const UNKNOWN = { code: "Unavailable", message: expect.stringContaining("could not be asked") };

describe("a pump is dead", () => {
  test("when its folder is gone", async () => {
    expect(await localPump(join(folder, "gone")).state()).toMatchObject({ phase: "Dead" });
  });

  test("when it has no socket", async () => {
    expect(await localPump(folder).state()).toMatchObject({ phase: "Dead" });
  });

  test("when nothing listens on its socket", async () => {
    const { end } = await listening(sayRunning);
    renameSync(fileOf("socket"), `${fileOf("socket")}.kept`);
    end();
    renameSync(`${fileOf("socket")}.kept`, fileOf("socket"));
    expect(await localPump(folder).state()).toMatchObject({ phase: "Dead" });
  });
});

describe("nothing is known about a pump", () => {
  const faults: [string, () => void][] = [
    [
      "whose folder cannot be opened",
      () => {
        rmSync(folder, { recursive: true });
        symlinkSync(folder, folder);
      },
    ],
    ["whose socket cannot be reached", () => symlinkSync(fileOf("socket"), fileOf("socket"))],
    ["whose result cannot be read", () => mkdirSync(fileOf("result"))],
  ];
  test.each(faults)("%s", async (_name, break_) => {
    break_();
    await expect(localPump(folder).state()).rejects.toMatchObject(UNKNOWN);
    await expect(localPump(folder).command({ command: "stop" }, 100)).rejects.toMatchObject(UNKNOWN);
    await expect(new PumpWatch(localPump(folder), () => {}).look()).rejects.toMatchObject(UNKNOWN);
  });

  test("by a process that is out of descriptors, and it is asked again", async () => {
    await listening(sayRunning);
    const asker = startStarved<{ way: string; answer: string }>("docker/pump/starved-asker.ts", [folder]);
    onTestFinished(() => asker.end());
    const answers = (): Record<string, string> =>
      Object.fromEntries(asker.said.map(({ way, answer }) => [way, answer]));
    const known = { state: "Running", follow: "followed", watch: "Running" };
    await eventually(() => isDeepStrictEqual(answers(), known));
    for (const spare of [0, 1]) {
      await eventually(async () => {
        // Again: connections that were just closed give back theirs.
        await asker.hog(spare);
        return answers()["state"] !== "Running";
      });
      await asker.free();
      await eventually(() => isDeepStrictEqual(answers(), known));
    }
    expect(asker.said.filter(({ answer }) => answer === "Dead")).toEqual([]);
  });
});

test("a pump whose folder is renamed meanwhile is not dead", async () => {
  await listening(sayRunning);
  const over = new AbortController();
  const rename = async (of: string): Promise<void> => {
    while (!over.signal.aborted) {
      await fenceFolder(of);
      await unfenceFolder(of);
    }
  };
  const renaming = rename(folder);
  onTestFinished(() => over.abort());
  for (let i = 0; i < 300; i++) expect(await localPump(folder).state()).toEqual({ phase: "Running" });
  over.abort();
  await renaming;
});

test.each(["", `{"status":`, `{"status":"Fine"}`, "null"])("a result of '%s' is a failure", async (text) => {
  writeFileSync(fileOf("result"), text);
  expect(await localPump(folder).state()).toMatchObject({ phase: "Failed", message: expect.stringMatching(/result/) });
});

describe("a lost connection", () => {
  test("is not yet the end of the pump", async () => {
    const pump = await listening(sayRunning);
    const changes: PumpState[] = [];
    const watch = new PumpWatch(localPump(folder), (state) => changes.push(state));
    onTestFinished(() => watch.close());
    await watch.look();
    for (let count = 1; count <= 3; count++) {
      await eventually(() => pump.clients.length === count);
      pump.clients.at(-1)?.destroy();
    }
    await eventually(() => pump.clients.length === 4);
    expect(changes).toEqual([]);
    pump.end();
    await eventually(() => changes.length > 0);
    expect(changes).toMatchObject([{ phase: "Dead" }]);
  });

  test("of a command is made again", async () => {
    let heard = "";
    await listening((client, count) => {
      if (count === 1) return client.destroy();
      client.on("data", (bytes) => {
        heard += bytes.toString();
        client.write(`{"phase":"Succeeded"}\n`);
      });
    });
    expect(await localPump(folder).command({ command: "jobEnded" }, 5000)).toEqual({ phase: "Succeeded" });
    expect(heard).toBe(`{"command":"jobEnded"}\n`);
  });
});

describe("an output whose pipe has ended", () => {
  test("is completed once the job still ran a second later, and so are those that ended before it", async () => {
    let said = "";
    const pump = await listening((client) => {
      sayRunning(client);
      client.on("data", (bytes) => (said += bytes.toString()));
    });
    const report = (more: object): void =>
      void pump.clients[0]?.write(`${JSON.stringify({ phase: "Running", ...more })}\n`);
    const heldAtMs: number[] = [];
    const changes: PumpState[] = [];
    const watch = new PumpWatch(
      localPump(folder),
      (state) => changes.push(state),
      (atMs) => heldAtMs.push(atMs),
    );
    onTestFinished(() => watch.close());
    expect(await watch.look()).toEqual({ phase: "Running" });
    expect(watch.jobRunsOn(Number.MAX_VALUE)).toBe(false);

    report({ pipeEnds: 2 });
    report({ pipeEnds: 2 });
    await eventually(() => heldAtMs.length > 0);
    const [firstAtMs = 0] = heldAtMs;
    const laterMs = firstAtMs + HELD_MS + 1;
    expect(watch.jobRunsOn(firstAtMs)).toBe(true);
    expect(watch.jobRunsOn(laterMs)).toBe(false);
    await eventually(() => said === `{"command":"jobRunsOn","pipeEnds":2}\n`);

    report({ pipeEnds: 3 });
    await eventually(() => heldAtMs.length > 1);
    expect(watch.jobRunsOn(laterMs)).toBe(true);
    await eventually(() => said === `{"command":"jobRunsOn","pipeEnds":2}\n`.repeat(2));
    report({});
    await eventually(() => !watch.jobRunsOn(laterMs));
    expect(heldAtMs.length).toBe(2);
    // Its state is as before: no workflow needs to know.
    expect(changes).toEqual([]);
  });
});

test("a pump that cannot read its folder is started again later", async () => {
  mkdirSync(fileOf("spec"));
  await expect(startPump({ node: process.execPath, main: PUMP_MAIN }, folder)).rejects.toMatchObject({
    code: "Unavailable",
    message: expect.stringContaining("EISDIR"),
  });
});
