import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { POD_DEFAULTS } from "../../../k8s/spec/cluster-settings.ts";
import { jobPodOf, jobSecretOf } from "../../../k8s/spec/job-pod.ts";
import type { Pod } from "../../../k8s/spec/wire.ts";
import { createKubeWatcher, WATCH_TIMES, type WatchTimes } from "../../../k8s/watch/watcher.ts";
import { CodedError } from "../../../model/errors.ts";
import type { SeenReplica } from "../../../model/ports/compute.ts";
import type { PumpKey } from "../../../model/ports/pump-channel.ts";
import { textOf } from "../../../model/run/identity.ts";
import type { ContainerState, PumpState } from "../../../model/run/lifecycle.ts";
import type { PumpCommand, PumpReport } from "../../../model/run/pump.ts";
import type { RunRecord } from "../../../model/run/run.ts";
import { apiPumps } from "../../../runs/api-pumps.ts";
import { createChanges, type Changes } from "../../../waiting/changes.ts";
import { eventually } from "../../eventually.ts";
import { createFakeClaims } from "../../fakes/launch-claims.ts";
import { createFakePumpRecords, type FakePumpRecords } from "../../fakes/pump-records.ts";
import { startFakeKube, type FakeKube } from "../fake-kube.ts";
import { runOf } from "../runs.ts";
import { withMain } from "../spec/pods.ts";

const PUMP = { image: "node", serverUrl: "http://tyger", program: "tyger-pump-1" };
const SETTINGS = { ...POD_DEFAULTS, installationId: "inst", namespace: "jobs", pump: PUMP };
const STARTED_AT = "2026-01-01T10:00:05Z";
const RUNNING = { running: { startedAt: STARTED_AT } };
const endedWith = (exitCode: number) => ({ terminated: { exitCode, startedAt: STARTED_AT, finishedAt: STARTED_AT } });

/** Remembers all calls. */
const collector = {
  told: [] as string[],
  see: ({ metadata, status }: Pod): void => void collector.told.push(`${metadata?.name} ${status?.phase}`),
  drop: ({ metadata }: Pod): void => void collector.told.push(`${metadata?.name} is gone`),
  run: (signal: AbortSignal): Promise<void> => {
    collector.told.push("began");
    return new Promise((resolve) =>
      signal.addEventListener("abort", () => {
        collector.told.push("ended");
        resolve();
      }),
    );
  },
};

let fake: FakeKube;
let claims: ReturnType<typeof createFakeClaims>;
let records: FakePumpRecords;
let changes: Changes<PumpKey>;
let warned: object[];
let heard: Map<string, SeenReplica[]>;
let stop: AbortController;
let watching: Promise<void>;

beforeEach(async () => {
  fake = await startFakeKube();
  claims = createFakeClaims();
  collector.told = [];
  records = createFakePumpRecords();
  changes = createChanges<PumpKey>((changed) => records.listen(changed));
  warned = [];
  heard = new Map();
  stop = new AbortController();
  watching = Promise.resolve();
});
afterEach(async () => {
  stop.abort();
  await watching.catch(() => undefined);
  await changes.close();
  await fake.close();
});

const ports = () => ({
  kube: fake.kube,
  claims,
  pumps: apiPumps(records, changes),
  log: { warn: (facts: object) => void warned.push(facts) },
});

function watch(times: Partial<WatchTimes> = {}): void {
  const watcher = createKubeWatcher({ ...ports(), settings: SETTINGS, times, collector });
  watching = watcher.watch(async (run, seen) => {
    const key = `${textOf(run)}/${seen.index}`;
    heard.set(key, [...(heard.get(key) ?? []), seen]);
  }, stop.signal);
}

const podOf = (run: RunRecord, state: Parameters<typeof withMain>[0], replica = 0): Pod => {
  const { metadata, ...pod } = jobPodOf(run, replica, SETTINGS, Date.now());
  return { ...pod, metadata: { ...metadata, uid: `uid-${run.id}-${replica}` }, status: withMain(state) };
};
const heardOf = (run: RunRecord, replica = 0): SeenReplica[] => heard.get(`${textOf(run)}/${replica}`) ?? [];
const lastOf = (run: RunRecord, replica = 0): ContainerState | undefined =>
  heardOf(run, replica).at(-1)?.state.container;
const runNow = (more: Partial<RunRecord> = {}): RunRecord => runOf({}, { createdAt: "2026-01-01T10:00:00Z", ...more });
const listsIn = ({ asked }: FakeKube): number =>
  asked.filter((call) => call.startsWith("GET /api/v1/namespaces/jobs/pods?")).length;
/** As after a launch. */
async function launched(run: RunRecord): Promise<Pod> {
  const pod = podOf(run, RUNNING);
  await claims.claim(run, 0, "word");
  await claims.recordContainer(run, 0, "word", pod.metadata?.uid ?? "");
  await claims.recordLaunched(run, 0, "word");
  fake.secrets.push(jobSecretOf(run, SETTINGS).metadata ?? {});
  return pod;
}

test("the times of the watch", () => {
  expect(WATCH_TIMES).toEqual({
    relistMs: 60_000,
    silenceMs: 90_000,
    lostMs: 60_000,
    goneAfterMs: 10_000,
    heldMs: 5000,
  });
});

test("pods that are there, and their changes, are reported once each", async () => {
  const run = runNow({ replicaCount: 2 });
  fake.change(podOf(run, RUNNING, 0));
  watch();
  await eventually(() => fake.openWatches() === 1);
  fake.change(podOf(run, RUNNING, 1));
  fake.change(podOf(run, RUNNING, 0));
  fake.change(podOf(run, endedWith(3), 0));
  await eventually(() => lastOf(run, 0)?.phase === "Exited");
  expect(heardOf(run, 0).map(({ state }) => state.container.phase)).toEqual(["Running", "Exited"]);
  expect(heardOf(run, 1)).toMatchObject([{ index: 1, count: 2, state: { container: { phase: "Running" } } }]);
  expect(fake.watchedFrom).toEqual(["101"]);
});

test("the logs of the pods that are seen are collected, until the watch ends", async () => {
  const run = runNow();
  watch();
  await eventually(() => fake.openWatches() === 1);
  fake.change(podOf(run, RUNNING));
  await eventually(() => lastOf(run)?.phase === "Running");
  fake.drop(`run-${run.id}-job-0`);
  await eventually(() => collector.told.at(-1)?.endsWith("is gone"));
  stop.abort();
  await watching;
  const name = `run-${run.id}-job-0`;
  expect(collector.told).toEqual(["began", `${name} Pending`, `${name} Pending`, `${name} is gone`, "ended"]);
});

test("a pod that only has our labels, without a run or an index, is left alone", async () => {
  const run = runNow();
  const odd = podOf(run, RUNNING);
  fake.change({ ...odd, metadata: { ...odd.metadata, name: "odd", labels: { "tyger-run": "x" } } });
  fake.change(podOf(run, RUNNING));
  watch();
  await eventually(() => lastOf(run));
  expect(heard.size).toBe(1);
});

test.each<[string, string[], string]>([
  ["that the server ends", [], "101"],
  ["that the server ends after a bookmark", ["700"], "700"],
])("a watch %s continues from its last version", async (_name, bookmarks, version) => {
  const run = runNow();
  watch();
  await eventually(() => fake.openWatches() === 1);
  fake.change(podOf(run, RUNNING));
  for (const resourceVersion of bookmarks) {
    fake.sendLine(JSON.stringify({ type: "BOOKMARK", object: { metadata: { resourceVersion } } }));
  }
  fake.endWatches();
  await eventually(() => fake.watchedFrom.length === 2);
  expect(fake.watchedFrom[1]).toBe(version);
  expect(listsIn(fake)).toBe(1);
});

test("a watch whose connection breaks continues without another list", async () => {
  const run = runNow();
  watch();
  await eventually(() => fake.openWatches() === 1);
  fake.change(podOf(run, RUNNING));
  await eventually(() => lastOf(run));
  fake.endWatches(true);
  await eventually(() => fake.watchedFrom.length === 2);
  expect(fake.watchedFrom[1]).toBe("101");
  expect(listsIn(fake)).toBe(1);
});

test("a silent connection is opened again", async () => {
  watch({ silenceMs: 300 });
  await eventually(() => fake.watchedFrom.length >= 3);
  expect(listsIn(fake)).toBe(1);
});

test.each<[string, (server: FakeKube) => void]>([
  [
    "expires while it is open",
    (server) => server.sendLine(JSON.stringify({ type: "ERROR", object: { code: 410, message: "too old" } })),
  ],
  ["has a line that cannot be read", (server) => server.sendLine("{")],
  [
    "has expired when it is opened again",
    (server) => {
      let refused = 0;
      server.intercept = (req, res) => {
        if (!req.url?.includes("watch=true") || refused > 0) return false;
        refused += 1;
        res.writeHead(410).end(JSON.stringify({ kind: "Status", reason: "Expired", message: "too old" }));
        return true;
      };
      server.endWatches();
    },
  ],
])("everything is listed again when the watch %s", async (_name, breakWatch) => {
  const run = runNow();
  watch();
  await eventually(() => fake.openWatches() === 1);
  // Not told to the watch.
  fake.pods.set("p", { ...podOf(run, RUNNING), metadata: { ...podOf(run, RUNNING).metadata, name: "p" } });
  breakWatch(fake);
  await eventually(() => lastOf(run)?.phase === "Running");
  expect(listsIn(fake)).toBe(2);
});

test("a change that the watch never tells is found by the next list, and reported again by each", async () => {
  const run = runNow();
  fake.change(podOf(run, RUNNING));
  watch({ relistMs: 100 });
  await eventually(() => heardOf(run).length >= 3);
  const [pod] = fake.pods.values();
  if (pod) fake.pods.set(pod.metadata?.name ?? "", { ...podOf(run, endedWith(0)) });
  await eventually(() => lastOf(run)?.phase === "Exited");
  expect(fake.watchedFrom).toHaveLength(1);
});

test("a list that is older than the watch changes nothing", async () => {
  const run = runNow();
  fake.change(podOf(run, { waiting: { reason: "ContainerCreating" } }));
  const old = fake.pods.get(`run-${run.id}-job-0`);
  watch({ relistMs: 100 });
  await eventually(() => fake.openWatches() === 1);
  fake.change(podOf(run, RUNNING));
  await eventually(() => lastOf(run)?.phase === "Running");
  if (old) fake.pods.set(old.metadata?.name ?? "", old);
  const listed = listsIn(fake);
  await eventually(() => listsIn(fake) > listed + 2);
  expect(lastOf(run)?.phase).toBe("Running");
});

test("a launched pod that is missing is gone after the second look", async () => {
  const run = runNow();
  await launched(run);
  watch({ goneAfterMs: 300 });
  await eventually(() => lastOf(run)?.phase === "Gone");
  const looks = fake.asked.filter((call) => call.includes(`/pods/run-${run.id}-job-0`));
  expect(looks).toHaveLength(2);
});

test("a launched pod that is back at the second look is not gone", async () => {
  const run = runNow();
  const pod = await launched(run);
  watch({ goneAfterMs: 300 });
  await eventually(() => fake.asked.some((call) => call.includes(`/pods/run-${run.id}-job-0`)));
  fake.pods.set(pod.metadata?.name ?? "", pod);
  await eventually(() => lastOf(run));
  expect(lastOf(run)?.phase).toBe("Running");
});

test("another pod with the name of a launched one is not it", async () => {
  const run = runNow();
  const pod = await launched(run);
  watch({ goneAfterMs: 100 });
  await eventually(() => fake.asked.some((call) => call.includes(`/pods/run-${run.id}-job-0`)));
  fake.pods.set(pod.metadata?.name ?? "", { ...pod, metadata: { ...pod.metadata, uid: "another" } });
  await eventually(() => lastOf(run)?.phase === "Gone");
  expect(heardOf(run)).toHaveLength(1);
});

test("a run that is only provisioned is not reported", async () => {
  const run = runNow();
  fake.secrets.push(jobSecretOf(run, SETTINGS).metadata ?? {});
  await claims.claim(run, 0, "word");
  watch({ relistMs: 50, goneAfterMs: 50 });
  await eventually(() => fake.asked.length > 8);
  expect(heard.size).toBe(0);
});

test("a pod that is deleted without our finalizer has its last state, or is gone", async () => {
  const [ended, lost] = [runNow(), runNow()];
  for (const run of [ended, lost]) fake.change(await launched(run));
  watch({ goneAfterMs: 100 });
  await eventually(() => fake.openWatches() === 1);
  fake.pods.set(`run-${ended.id}-job-0`, podOf(ended, endedWith(5)));
  for (const run of [ended, lost]) fake.drop(`run-${run.id}-job-0`);
  await eventually(() => lastOf(ended)?.phase === "Exited" && lastOf(lost)?.phase === "Gone");
  expect(lastOf(ended)?.exitCode).toBe(5);
});

test("an image that is not pulled ends the run when its time is up, without another change", async () => {
  const run = runNow();
  const pod = podOf(run, { waiting: { reason: "ErrImagePull", message: "no route" } });
  const condition = { type: "Initialized", status: "True", lastTransitionTime: new Date().toISOString() };
  const settings = { ...SETTINGS, patience: { ...SETTINGS.patience, userImageMs: 1500 } };
  fake.change({ ...pod, status: { ...pod.status, conditions: [condition] } });
  const watcher = createKubeWatcher({ ...ports(), settings, collector });
  watching = watcher.watch(async (named, seen) => {
    heard.set(`${textOf(named)}/0`, [...heardOf(run), seen]);
  }, stop.signal);
  await eventually(() => lastOf(run)?.phase === "Gone");
  expect(heardOf(run).map(({ state }) => state.container.phase)).toEqual(["Created", "Gone"]);
});

test("a pod of a lost node stays lost while it is removed", async () => {
  const run = runNow();
  const pod = podOf(run, RUNNING);
  const deletedAt = (ms: number): Pod => ({
    ...pod,
    spec: { containers: [], nodeName: "node-a" },
    metadata: { ...pod.metadata, deletionTimestamp: new Date(Date.now() + ms).toISOString() },
  });
  fake.change(deletedAt(-SETTINGS.patience.lostMs));
  watch({ relistMs: 50 });
  await eventually(() => lastOf(run)?.phase === "Gone");
  fake.change(deletedAt(2000));
  const listed = listsIn(fake);
  await eventually(() => listsIn(fake) > listed + 2);
  expect(new Set(heardOf(run).map(({ state }) => state.container.phase))).toEqual(new Set(["Gone"]));
});

test("the watch fails when the cluster is away for long", async () => {
  fake.intercept = (req) => {
    req.socket.destroy();
    return true;
  };
  watch({ lostMs: 10 });
  await expect(watching).rejects.toMatchObject({ code: "Unavailable" });
});

describe("the pump of a replica", () => {
  const TOKEN = "token";
  const SPEAKER = { instance: "process", heard: 0 };
  const pumpOf = (run: RunRecord) => ({ run, replica: 0 });
  const withBuffers = (): RunRecord => runOf({ buffers: { outputs: ["out"] } }, { createdAt: "2026-01-01T10:00:00Z" });
  const lastPump = (run: RunRecord): PumpState | undefined => heardOf(run).at(-1)?.state.pump;
  const commandsTo = (run: RunRecord): PumpCommand[] => records.rows.get(`${run.id}/0`)?.commands ?? [];

  /** As after a launch, with a pump that has said this. */
  async function begun(run: RunRecord, report: PumpReport = { phase: "Running" }): Promise<Pod> {
    records.add(run);
    await records.open(pumpOf(run), TOKEN);
    await says(run, report, 0);
    return launched(run);
  }
  const says = (run: RunRecord, report: PumpReport, sequence: number) =>
    records.poll(pumpOf(run), TOKEN, { ...SPEAKER, sequence, report });

  test("hears how its job ended, and its result ends the replica", async () => {
    const [own, cut] = [withBuffers(), withBuffers()];
    for (const run of [own, cut]) fake.change(await begun(run));
    watch();
    await eventually(() => lastPump(own) && lastPump(cut));
    expect(lastPump(own)).toEqual({ phase: "Running" });
    fake.change(podOf(own, endedWith(0)));
    fake.change(podOf(cut, endedWith(137)));
    await eventually(() => commandsTo(own).length > 0 && commandsTo(cut).length > 0);
    expect(commandsTo(own)).toEqual([{ command: "jobEnded", cutOff: false }]);
    expect(commandsTo(cut)).toEqual([{ command: "jobEnded", cutOff: true }]);
    expect(lastPump(own)).toEqual({ phase: "Running" });
    await records.finish(pumpOf(own), TOKEN, { instance: SPEAKER.instance, result: { status: "Succeeded" } });
    await eventually(() => lastPump(own)?.phase === "Succeeded");
    expect(lastOf(own)).toMatchObject({ phase: "Exited", exitCode: 0 });
  });

  test("that fails beside a running job is reported, in the words for helper containers", async () => {
    const run = withBuffers();
    fake.change(await begun(run));
    watch();
    await eventually(() => lastPump(run));
    await says(run, { phase: "Failed", message: "The input 'in' failed: no" }, 1);
    await eventually(() => lastPump(run)?.phase === "Failed");
    expect(lastPump(run)?.message).toBe("Sidecar exited with code 1: The input 'in' failed: no");
    expect(lastOf(run)?.phase).toBe("Running");
  });

  test("hears that its job runs on only from a look at the pod a while after the end of the output", async () => {
    const run = withBuffers();
    const pod = await begun(run);
    fake.change(pod);
    watch({ heldMs: 300 });
    await eventually(() => lastPump(run));
    const looks = (): number => fake.asked.filter((call) => call.endsWith(`/pods/run-${run.id}-job-0`)).length;
    const before = looks();
    await says(run, { phase: "Running", pipeEnds: 1 }, 1);
    fake.change(pod);
    await eventually(() => commandsTo(run).length > 0);
    expect(looks()).toBe(before + 1);
    expect(commandsTo(run)).toEqual([{ command: "jobRunsOn", pipeEnds: 1 }]);
  });

  test("whose job ended in the meantime never hears that it runs on", async () => {
    const run = withBuffers();
    fake.change(await begun(run));
    watch({ heldMs: 200 });
    await eventually(() => lastPump(run));
    await says(run, { phase: "Running", pipeEnds: 1 }, 1);
    // As on a node that reports late: the watch has not told it yet.
    const ended = podOf(run, endedWith(137));
    fake.pods.set(`run-${run.id}-job-0`, ended);
    await eventually(() => commandsTo(run).length > 0);
    expect(commandsTo(run)).toEqual([{ command: "jobEnded", cutOff: true }]);
  });

  test("whose pod is being deleted does not hear that its job runs on", async () => {
    const run = withBuffers();
    const { metadata, spec, ...pod } = await begun(run, { phase: "Running", pipeEnds: 1 });
    const deletionTimestamp = new Date(Date.now() + 60_000).toISOString();
    fake.change({
      ...pod,
      spec: { containers: [], ...spec, nodeName: "node-a" },
      metadata: { ...metadata, deletionTimestamp },
    });
    watch({ heldMs: 20, relistMs: 50 });
    const listed = listsIn(fake);
    await eventually(() => listsIn(fake) > listed + 4);
    expect(commandsTo(run)).toEqual([]);
  });

  test("of a pod that disappeared is dead, and gets a stop", async () => {
    const run = withBuffers();
    fake.change(await begun(run));
    watch({ goneAfterMs: 50 });
    await eventually(() => lastPump(run));
    fake.drop(`run-${run.id}-job-0`);
    await eventually(() => lastOf(run)?.phase === "Gone");
    expect(lastPump(run)).toEqual({ phase: "Dead" });
    expect(commandsTo(run)).toEqual([{ command: "stop" }]);
  });

  test("of a pod that disappeared before this watcher saw it is dead too", async () => {
    const run = withBuffers();
    await begun(run);
    watch({ goneAfterMs: 50 });
    await eventually(() => lastOf(run)?.phase === "Gone");
    expect(lastPump(run)).toEqual({ phase: "Dead" });
  });

  test("whose pod disappeared after the end of the job has the result that it left, or is dead", async () => {
    const [done, dead] = [withBuffers(), withBuffers()];
    for (const run of [done, dead]) fake.change(await begun(run));
    watch({ goneAfterMs: 100 });
    await eventually(() => lastPump(done) && lastPump(dead));
    for (const run of [done, dead]) fake.change(podOf(run, endedWith(0)));
    await eventually(() => lastOf(done)?.phase === "Exited" && lastOf(dead)?.phase === "Exited");
    await records.finish(pumpOf(done), TOKEN, { instance: SPEAKER.instance, result: { status: "Succeeded" } });
    for (const run of [done, dead]) fake.drop(`run-${run.id}-job-0`);
    await eventually(() => lastPump(dead)?.phase === "Dead" && lastPump(done)?.phase === "Succeeded");
    expect([lastOf(done)?.exitCode, lastOf(dead)?.exitCode]).toEqual([0, 0]);
  });

  test("that reports after its run was removed is forgotten all the same", async () => {
    const run = withBuffers();
    fake.change(await begun(run));
    let [removed, reads] = [0, 0];
    const findPump = records.find.bind(records);
    records.find = async (pump) => {
      const record = await findPump(pump);
      reads += 1;
      return record;
    };
    const find = claims.find.bind(claims);
    claims.find = async (...which) => {
      const claim = await find(...which);
      if (claim?.state !== "removed") return claim;
      // While the removal is looked at, the pump has something to say, and the watcher hears it.
      const before = reads;
      await says(run, { phase: "Failed", message: `late ${++removed}` }, removed);
      await eventually(() => reads > before || removed > 1);
      return claim;
    };
    watch({ relistMs: 50 });
    await eventually(() => lastPump(run));
    await claims.markRemoved(run, 0);
    fake.secrets.length = 0;
    fake.drop(`run-${run.id}-job-0`);
    await eventually(() => removed > 0);
    const reports = heardOf(run).length;
    const listed = listsIn(fake);
    await eventually(() => listsIn(fake) > listed + 3);
    expect({ removed, reports: heardOf(run).length }).toEqual({ removed: 1, reports });
  });

  test("that cannot be asked holds up no other replica, and is asked again", async () => {
    const [asked, other] = [withBuffers(), runNow()];
    const find = records.find.bind(records);
    let failures = 0;
    records.find = async (pump) => {
      if (pump.run.id !== asked.id || failures >= 3) return find(pump);
      failures += 1;
      throw new CodedError("Unavailable", "the database is away");
    };
    fake.change(await begun(asked));
    watch();
    await eventually(() => fake.openWatches() === 1);
    fake.change(podOf(other, endedWith(3)));
    await eventually(() => lastOf(other)?.exitCode === 3);
    fake.change(podOf(asked, endedWith(0)));
    await eventually(() => commandsTo(asked).length > 0, { withinMs: 10_000 });
    expect(warned).toEqual([{ runId: asked.id, replica: 0, reason: "the database is away" }]);
    expect(fake.watchedFrom).toHaveLength(1);
  });
});
