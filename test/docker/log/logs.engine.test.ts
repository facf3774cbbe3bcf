import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { createFolderObjects } from "../../../buffers/filesystem/folder-objects.ts";
import { createLogArchive } from "../../../logs/archive.ts";
import { LABEL_INSTALLATION, LABEL_RUN, LABEL_RUN_UID, containerNameOf } from "../../../model/run/names.ts";
import type { LogLine, LogLines, LogQuery } from "../../../model/ports/log.ts";
import type { RunRecord } from "../../../model/run/run.ts";
import { eventually } from "../../eventually.ts";
import { logsIn } from "../../fakes/locations.ts";
import { openDockerRig, type DockerRig } from "../rig.ts";

let rig: DockerRig;
beforeAll(async () => {
  rig = await openDockerRig();
});
afterAll(() => rig.close());

async function collect(lines: LogLines): Promise<LogLine[]> {
  const all: LogLine[] = [];
  for await (const batch of lines) for (const { at, bytes } of batch) all.push({ at, bytes: Buffer.from(bytes) });
  return all;
}
const logOf = (run: RunRecord, query: LogQuery = {}): Promise<LogLine[]> =>
  collect(rig.reader.logs(run, query, AbortSignal.timeout(60_000)));
const textOf = (lines: readonly LogLine[]): string => Buffer.concat(lines.map(({ bytes }) => bytes)).toString();
const ended = async (run: RunRecord): Promise<void> => {
  await rig.writer.launch(run, 0);
  await eventually(async () => (await rig.writer.observe(run, 0)).container.phase === "Exited", { withinMs: 60_000 });
};

test("lines of megabytes stay whole, their instant is that of the beginning, and a last one may be open", async () => {
  const run = rig.shell("head -c 2000000 /dev/zero | tr '\\0' x; echo; echo short; printf open");
  await ended(run);
  const lines = await logOf(run);
  expect(lines.map(({ bytes }) => bytes.length)).toEqual([2_000_001, 6, 4]);
  expect(lines.every(({ at }) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(at))).toBe(true);
  expect(textOf(await logOf(run, { tailLines: 2 }))).toBe("short\nopen");
  expect(textOf(await logOf(run, { tailLines: 3 })).length).toBe(2_000_001 + 10);
});

test("a line that is written byte by byte is one line", async () => {
  const run = rig.shell("for i in 1 2 3 4 5 6 7 8 9; do printf $i; done; echo");
  await ended(run);
  expect(textOf(await logOf(run))).toBe("123456789\n");
});

test("lines of one byte and a hundred thousand lines arrive whole", async () => {
  const run = rig.shell("yes '' | head -n 50000; seq 100000");
  await ended(run);
  const lines = await logOf(run);
  expect(lines.length).toBe(150_000);
  expect(textOf(lines.slice(-2))).toBe("99999\n100000\n");
  expect(textOf(await logOf(run, { tailLines: 3 }))).toBe("99998\n99999\n100000\n");
});

test("bytes that are not text do no harm", async () => {
  const run = rig.shell("head -c 300000 /dev/urandom; echo; echo end");
  await ended(run);
  expect(textOf((await logOf(run)).slice(-1))).toBe("end\n");
});

test("a follower of a job that writes fast loses nothing at its end", async () => {
  const run = rig.shell("seq 30000; echo last >&2; printf open");
  const following = rig.writer.launch(run, 0).then(() => logOf(run, { follow: true }));
  const lines = await following;
  expect(lines.length).toBe(30_002);
  expect(textOf(lines).endsWith("open")).toBe(true);
});

test("a followed log has the last lines, which the job writes just before it ends", async () => {
  const follow = async (): Promise<string> => {
    const run = rig.shell("echo one; sleep 0.1; echo two; printf end");
    await rig.writer.launch(run, 0);
    return textOf(await logOf(run, { follow: true }));
  };
  // Engines lose it more often than not.
  for (let i = 0; i < 6; i++) expect(await follow()).toBe("one\ntwo\nend");
});

test("the tail of a followed log continues with new lines: none is repeated or left out", async () => {
  const run = rig.shell("for i in 1 2 3 4 5 6; do echo $i; sleep 0.2; done");
  await rig.writer.launch(run, 0);
  await eventually(async () => textOf(await logOf(run)).startsWith("1\n2\n3\n"));
  const followed = textOf(await logOf(run, { follow: true, tailLines: 1 }));
  expect("1\n2\n3\n4\n5\n6\n".endsWith(followed)).toBe(true);
  expect(followed.length).toBeGreaterThanOrEqual(4);
});

test("a followed line arrives while its job still runs", async () => {
  const run = rig.shell("for i in 1 2 3; do echo $i; sleep 0.1; done; exec sleep 600");
  await rig.writer.launch(run, 0);
  let seen = "";
  for await (const batch of rig.reader.logs(run, { follow: true }, AbortSignal.timeout(20_000))) {
    for (const { bytes } of batch) seen += Buffer.from(bytes).toString();
    if (seen === "1\n2\n3\n") break;
  }
  expect(seen).toBe("1\n2\n3\n");
  expect(await rig.writer.observe(run, 0)).toMatchObject({ container: { phase: "Running" } });
  await rig.writer.stop(run, 0);
});

test("a slow reader holds the log back instead of filling memory", async () => {
  const run = rig.shell("yes $(head -c 2000 /dev/zero | tr '\\0' x) | head -n 100000");
  await rig.writer.launch(run, 0);
  const before = process.memoryUsage().rss;
  let most = 0;
  let lines = 0;
  for await (const batch of rig.reader.logs(run, { follow: true }, AbortSignal.timeout(60_000))) {
    lines += batch.length;
    await nextTurn();
    most = Math.max(most, process.memoryUsage().rss - before);
  }
  expect(lines).toBe(100_000);
  expect(most).toBeLessThan(150 * 1024 * 1024);
});

test("the same request gives the same lines live and archived", async () => {
  const dir = await mkdtemp(join(tmpdir(), "tyger-logs-"));
  try {
    const archive = createLogArchive(logsIn(createFolderObjects(dir)));
    const run = rig.shell(
      "for i in $(seq 300); do echo out $i; echo err $i >&2; done; head -c 50000 /dev/zero | tr '\\0' x",
      {
        buffers: { outputs: ["out"] },
      },
    );
    await ended(run);
    const whole = await logOf(run);
    await archive.write(run, rig.reader.logs(run, {}, AbortSignal.timeout(20_000)));
    const queries: Pick<LogQuery, "tailLines" | "since">[] = [
      {},
      ...[0, 1, 2, 100, 601, 5000].map((tailLines) => ({ tailLines })),
      ...[0, 1, 300, 599, 600].map((i) => ({ since: whole[i]?.at ?? "" })),
      { since: whole[200]?.at ?? "", tailLines: 7 },
      { since: whole[598]?.at ?? "", tailLines: 7 },
    ];
    for (const query of queries) {
      const archived = await archive.read(run, query);
      const shown = (lines: readonly LogLine[]): string[] => lines.map((line) => `${line.at} ${textOf([line])}`);
      expect({ query, lines: archived && shown(await collect(archived)) }).toEqual({
        query,
        lines: shown(await logOf(run, query)),
      });
    }
    expect(whole.length).toBe(601);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

test("a line of 40 MiB is whole, live and by its tail", async () => {
  const sizeBytes = 40 * 1024 * 1024;
  const run = rig.shell(`head -c ${sizeBytes} /dev/zero | tr '\\0' x; echo; echo next`);
  await ended(run);
  for (const query of [{}, { tailLines: 2 }, { follow: true }]) {
    expect((await logOf(run, query)).map(({ bytes }) => bytes.length)).toEqual([sizeBytes + 1, 5]);
  }
});

test("a log that the engine has cut is marked", async () => {
  const run = rig.run({});
  const id = await rig.engine.create(containerNameOf(rig.installationId, run.id, 0), {
    Image: inject("testImage"),
    Entrypoint: ["bash", "-c", "seq 20000"],
    Labels: { [LABEL_INSTALLATION]: rig.installationId, [LABEL_RUN]: String(run.id), [LABEL_RUN_UID]: run.uid ?? "" },
    HostConfig: { LogConfig: { Type: "json-file", Config: { "max-size": "100k", "max-file": "3" } } },
  });
  await rig.engine.start(id);
  await eventually(async () => (await rig.engine.inspect(id))?.State.Running === false);
  const lines = await logOf(run);
  expect(lines.length).toBeLessThan(20_000);
  expect(textOf(lines.slice(-2))).toBe(
    "20000\n[tyger] This log was too long for the container engine: its beginning may be missing\n",
  );
});

describe("the archived log of a container that was removed", () => {
  const removed = async (): Promise<RunRecord> => {
    const run = rig.shell("echo lost");
    await ended(run);
    await rig.engine.remove(containerNameOf(rig.installationId, run.id, 0), { force: true });
    return run;
  };

  test("is a mark, dated like the end of its run", async () => {
    const run = await removed();
    const [startedAt, finishedAt] = ["2026-01-01T00:00:00.5+00:00", "2026-01-01T00:00:01.25+00:00"];
    const lines = await logOf({ ...run, startedAt, finishedAt }, { toArchive: true });
    expect(lines.map(({ at }) => at)).toEqual(["2026-01-01T00:00:01.250000000Z"]);
    expect(textOf(lines)).toBe("[tyger] The container was removed before its log was archived\n");
  });

  test("is empty where it was never started", async () => {
    expect(await logOf(rig.shell("true"), { toArchive: true })).toEqual([]);
  });

  test("is there where only its name was changed", async () => {
    const run = rig.shell("echo kept");
    await ended(run);
    await promisify(execFile)("docker", ["rename", containerNameOf(rig.installationId, run.id, 0), `kept-${run.id}`]);
    expect(textOf(await logOf({ ...run, startedAt: run.createdAt }, { toArchive: true }))).toBe("kept\n");
  });
});

test("an image is on the host or it is not, whatever it is called", async () => {
  expect(await rig.reader.hasImage(inject("testImage"))).toBe(true);
  for (const image of ["no-such-image:1", "../containers/json", "a//b", "", "UPPER CASE", "x?y=z", "."]) {
    expect({ image, isThere: await rig.reader.hasImage(image) }).toEqual({ image, isThere: false });
  }
  expect(typeof (await rig.reader.hasGpu())).toBe("boolean");
});
