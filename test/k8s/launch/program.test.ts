import { afterEach, beforeEach, expect, test } from "vitest";
import { programOf, provideProgram, removeOldPrograms } from "../../../k8s/launch/program.ts";
import { POD_DEFAULTS } from "../../../k8s/spec/cluster-settings.ts";
import { jobPodOf } from "../../../k8s/spec/job-pod.ts";
import { startFakeKube, type FakeKube } from "../fake-kube.ts";
import { runOf } from "../runs.ts";

const [OLD, USED, NEW] = [programOf("old"), programOf("used"), programOf("new")];
const PUMP = { image: "node", serverUrl: "http://tyger", program: USED.name };
const settings = { ...POD_DEFAULTS, installationId: "inst", namespace: "jobs", pump: PUMP };

let fake: FakeKube;
beforeEach(async () => {
  fake = await startFakeKube();
});
afterEach(() => fake.close());

const portsOf = (program = NEW) => ({ kube: fake.kube, settings, program });
const posts = (): number => fake.asked.filter((call) => call.startsWith("POST ")).length;

test("a program has a name of its own, made from its content", () => {
  expect(programOf("new")).toEqual(NEW);
  expect(NEW.name).toMatch(/^tyger-pump-[0-9a-f]{16}$/);
  expect(NEW.name).not.toBe(OLD.name);
});

test("a program is stored once, and never changes", async () => {
  await Promise.all([provideProgram(portsOf()), provideProgram(portsOf())]);
  const before = posts();
  await provideProgram(portsOf());
  expect(posts()).toBe(before);
  expect([...fake.configMaps.values()]).toMatchObject([
    {
      metadata: { name: NEW.name, labels: { "tyger-installation": "inst", "tyger-pump-program": NEW.hash } },
      immutable: true,
      data: { "pump.mjs": "new" },
    },
  ]);
});

test("programs of other versions are removed once no pod has them", async () => {
  for (const program of [OLD, USED, NEW]) await provideProgram(portsOf(program));
  fake.change(jobPodOf(runOf({ buffers: { outputs: ["out"] } }), 0, settings, Date.now()));
  await removeOldPrograms(portsOf());
  expect([...fake.configMaps.keys()]).toEqual([USED.name, NEW.name]);
  fake.pods.clear();
  await removeOldPrograms(portsOf());
  expect([...fake.configMaps.keys()]).toEqual([NEW.name]);
});
