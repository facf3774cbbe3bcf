import { expect, test } from "vitest";
import { settingsOf } from "../../k8s/cluster.ts";
import { WATCH_TIMES } from "../../k8s/watch/watcher.ts";

const SCOPE = { installationId: "inst", scope: "inst-near" };
const access = { inCluster: true } as const;

test("settings that a configuration leaves out have these defaults", () => {
  expect(settingsOf({ access }, SCOPE)).toEqual({
    installationId: "inst-near",
    namespace: "tyger-inst",
    nodePools: [],
    identities: {},
    imagePullSecrets: [],
    imagePullPolicy: "IfNotPresent",
    patience: { userImageMs: 60_000, systemImageMs: 1_800_000, unreachableSeconds: 300, lostMs: 60_000 },
    pump: { image: "node:24-slim", serverUrl: undefined },
  });
  expect(WATCH_TIMES).toEqual({
    relistMs: 60_000,
    silenceMs: 90_000,
    lostMs: 60_000,
    goneAfterMs: 10_000,
    heldMs: 5000,
  });
});

test("every setting of a configuration is used", () => {
  const nodeSelector = { pool: "a" };
  const tolerations = [{ key: "a" }];
  const settings = settingsOf(
    {
      access,
      namespace: "jobs",
      nodePools: [{ name: "a", nodeSelector, tolerations, gpu: true }],
      identities: { reader: "account" },
      imagePullSecrets: ["registry"],
      imagePullPolicy: "Always",
      pumpImage: "mirror.example.com/node:24",
      serverUrl: "https://data.example.com",
      durations: { userImageSeconds: 1, systemImageSeconds: 2, unreachableNodeSeconds: 3, lostPodSeconds: 4 },
    },
    SCOPE,
  );
  expect(settings).toEqual({
    installationId: "inst-near",
    namespace: "jobs",
    nodePools: [{ name: "a", nodeSelector, tolerations, hasGpu: true }],
    identities: { reader: "account" },
    imagePullSecrets: ["registry"],
    imagePullPolicy: "Always",
    patience: { userImageMs: 1000, systemImageMs: 2000, unreachableSeconds: 3, lostMs: 4000 },
    pump: { image: "mirror.example.com/node:24", serverUrl: "https://data.example.com" },
  });
});
