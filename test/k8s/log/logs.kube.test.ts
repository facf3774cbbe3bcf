import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { streamOf } from "../../../k8s/log/stored-log.ts";
import type { LogQuery } from "../../../model/ports/log.ts";
import { hasEnded, type ContainerState } from "../../../model/run/lifecycle.ts";
import type { RunRecord } from "../../../model/run/run.ts";
import { eventually } from "../../eventually.ts";
import { openKubeRig, type KubeRig } from "../rig.ts";

const why = inject("whyNoCluster");

test("there is a cluster", ({ skip }) => {
  skip(why !== "", why);
  expect(inject("kubeconfig")).not.toBe("");
});

/** A node begins a new file at 10 MiB, and has only that one. */
const MEGABYTES = 30;
/** Of a hundred bytes each. */
const LINES_PER_MEGABYTE = 10_000;

/** Long logs on a real node. */
function describeLogs(): void {
  let rig: KubeRig;
  const heard = new Map<number, ContainerState>();
  const stop = new AbortController();
  let watching: Promise<void>;
  beforeAll(async () => {
    rig = await openKubeRig();
    watching = rig.watcher.watch(async ({ id }, { state }) => void heard.set(id, state.container), stop.signal);
  });
  afterAll(async () => {
    stop.abort();
    await watching;
    await rig.close();
  });

  /** The numbers in a log whose lines are numbers; a line that is not one is given as text. */
  async function read(run: RunRecord, query: LogQuery): Promise<{ count: number; odd: string[]; gaps: string[] }> {
    const [odd, gaps]: [string[], string[]] = [[], []];
    let last: number | undefined;
    let count = 0;
    for await (const batch of rig.reader.logs(run, query, AbortSignal.timeout(240_000))) {
      for (const { bytes } of batch) {
        const text = Buffer.from(bytes).toString().trim();
        const number = Number(text);
        if (Number.isNaN(number)) odd.push(text);
        else if (last !== undefined && number !== last + 1) gaps.push(`${last} ${number}`);
        if (!Number.isNaN(number)) [last, count] = [number, count + 1];
      }
    }
    return { count, odd, gaps };
  }

  test(`${MEGABYTES} MB at 1 MB/s are whole: followed, before and after the end, and their tail`, async () => {
    const total = MEGABYTES * LINES_PER_MEGABYTE;
    const lines = `seq $((i * ${LINES_PER_MEGABYTE} + 1)) $(((i + 1) * ${LINES_PER_MEGABYTE})) | sed s/^/${"0".repeat(93)}/`;
    const script = `for ((i = 0; i < ${MEGABYTES}; i++)); do ${lines}; sleep 1; done`;
    const run: RunRecord = { ...rig.shell(script), startedAt: new Date().toISOString() };
    await rig.writer.provision(run);
    await rig.writer.launch(run, 0);
    const whole = { count: total, odd: [], gaps: [] };
    const followed = read(run, { follow: true });
    await eventually(() => (heard.get(run.id) ? hasEnded(heard.get(run.id) ?? { phase: "Unknown" }) : false), {
      withinMs: 240_000,
    });
    expect(heard.get(run.id)).toMatchObject({ phase: "Exited", exitCode: 0 });
    expect(await followed).toEqual(whole);
    expect((await rig.parts.last(run, streamOf(0, "main")))?.number).toBeGreaterThan(MEGABYTES / 4);
    expect(await read(run, { toArchive: true })).toEqual(whole);
    expect(await read(run, { tailLines: 200_000 })).toEqual({ ...whole, count: 200_000 });
    await rig.writer.remove(run);
    expect(await rig.parts.last(run, streamOf(0, "main"))).toBeUndefined();
  });
}

if (why === "")
  describe("logs", () => {
    describeLogs();
  });
