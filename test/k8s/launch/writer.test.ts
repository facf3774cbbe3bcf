import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Kube } from "../../../k8s/client/kube.ts";
import { programOf, provideProgram } from "../../../k8s/launch/program.ts";
import { createKubeWriter } from "../../../k8s/launch/writer.ts";
import { POD_DEFAULTS } from "../../../k8s/spec/cluster-settings.ts";
import type { ComputeWriter } from "../../../model/ports/compute.ts";
import { apiPumps } from "../../../runs/api-pumps.ts";
import { createChanges } from "../../../waiting/changes.ts";
import { createFakeClaims } from "../../fakes/launch-claims.ts";
import { logPartsInMemory } from "../../fakes/log-parts.ts";
import { createFakePumpRecords } from "../../fakes/pump-records.ts";
import { startFakeKube, type FakeKube } from "../fake-kube.ts";
import { runOf } from "../runs.ts";

const HOUR_MS = 3_600_000;

let fake: FakeKube;
beforeEach(async () => {
  fake = await startFakeKube();
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(async () => {
  vi.useRealTimers();
  await fake.close();
});

let warned: string[];
beforeEach(() => {
  warned = [];
});

const SETTINGS = { ...POD_DEFAULTS, installationId: "inst", namespace: "jobs" };
const writerOn = (kube: Kube): ComputeWriter => {
  const records = createFakePumpRecords();
  return createKubeWriter({
    kube,
    claims: createFakeClaims(),
    settings: SETTINGS,
    pumps: apiPumps(
      records,
      createChanges((changed) => records.listen(changed)),
    ),
    program: programOf("new"),
    parts: logPartsInMemory(),
    claimNamespace: async () => {},
    log: { warn: (_facts, message) => void warned.push(message) },
  });
};

test("the programs of other versions are removed with a run, but not by a process that an update has just started", async () => {
  await provideProgram({ kube: fake.kube, settings: SETTINGS, program: programOf("old") });
  const writer = writerOn(fake.kube);
  vi.advanceTimersByTime(HOUR_MS - 1);
  await writer.remove(runOf({}));
  expect([...fake.configMaps.keys()]).toEqual([programOf("old").name]);
  vi.advanceTimersByTime(1);
  await writer.remove(runOf({}));
  expect([...fake.configMaps.keys()]).toEqual([]);
  expect(warned).toEqual([]);
});

test("programs that cannot be removed do not hold up the removal of a run, and are reported", async () => {
  const writer = writerOn({ ...fake.kube, listConfigMaps: () => Promise.reject(new Error("away")) });
  vi.advanceTimersByTime(HOUR_MS);
  await writer.remove(runOf({}));
  expect(warned).toEqual(["could not remove old programs of pumps, trying again in an hour"]);
});
