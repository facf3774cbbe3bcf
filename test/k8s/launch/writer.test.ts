import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { programOf, provideProgram } from "../../../k8s/launch/program.ts";
import { createKubeWriter } from "../../../k8s/launch/writer.ts";
import { POD_DEFAULTS } from "../../../k8s/spec/cluster-settings.ts";
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

test("the programs of other versions are removed with a run, but not by a process that an update has just started", async () => {
  const settings = { ...POD_DEFAULTS, installationId: "inst", namespace: "jobs" };
  const records = createFakePumpRecords();
  const program = programOf("new");
  await provideProgram({ kube: fake.kube, settings, program: programOf("old") });
  const writer = createKubeWriter({
    kube: fake.kube,
    claims: createFakeClaims(),
    settings,
    pumps: apiPumps(
      records,
      createChanges((changed) => records.listen(changed)),
    ),
    program,
    parts: logPartsInMemory(),
    claimNamespace: async () => {},
  });
  vi.advanceTimersByTime(HOUR_MS - 1);
  await writer.remove(runOf({}));
  expect([...fake.configMaps.keys()]).toEqual([programOf("old").name]);
  vi.advanceTimersByTime(1);
  await writer.remove(runOf({}));
  expect([...fake.configMaps.keys()]).toEqual([]);
});
