import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { KeptProcess } from "../../../stack/supervisor/kept-process.ts";

test("the pauses between the starts of a process that cannot start double up to ten seconds", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tyger-kept-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const paused: number[] = [];
  const nine = Promise.withResolvers<void>();
  const kept = new KeptProcess(
    {
      name: "broken",
      command: "/nowhere/at-all",
      args: [],
      env: {},
      cwd: folder,
      logFile: join(folder, "log"),
      isReady: async () => true,
      stopSignal: "SIGTERM",
      graceMs: 1000,
    },
    {
      onChange: () => undefined,
      log: () => undefined,
      clock: {
        nowMs: () => Date.now(),
        async sleep(ms) {
          paused.push(ms);
          if (paused.length < 9) return;
          nine.resolve();
          await new Promise(setImmediate);
        },
      },
    },
  );
  void kept.start();
  await nine.promise;
  await kept.stop();
  expect(paused.slice(0, 9)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
});

test("a process whose log cannot be opened starts without it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tyger-kept-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const said: string[] = [];
  const kept = new KeptProcess(
    {
      name: "quiet",
      command: process.execPath,
      args: ["-e", "console.log('begun'); setInterval(() => {}, 1000)"],
      env: {},
      cwd: folder,
      logFile: join(folder, "missing", "log"),
      isReady: async () => true,
      stopSignal: "SIGTERM",
      graceMs: 5000,
    },
    { onChange: () => undefined, log: (line) => void said.push(line) },
  );
  await kept.start();
  expect(kept.view()).toMatchObject({ state: "ready", restarts: 0 });
  expect(said).toEqual([expect.stringMatching(/^quiet has no log: ENOENT/)]);
  await kept.stop();
});
