import { defineConfig } from "vitest/config";

/**
 * Suites that own engines (Postgres, Temporal, Docker) run last and one file at a time; the others share the cores. Tests of
 * real processes (pumps, terminals, supervisors) are a suite of their own, which `npm run check` leaves out to be quick. The suite
 * on Kubernetes is the very last: its cluster is started when the others are done.
 */
export default defineConfig({
  test: {
    reporters: ["default", "./test/count-reporter.ts"],
    projects: [
      {
        test: {
          name: "unit",
          sequence: { groupOrder: 0 },
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.{process,engine,kube}.test.ts", "test/e2e/**"],
          maxWorkers: 4,
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "process",
          sequence: { groupOrder: 0 },
          include: ["test/**/*.process.test.ts"],
          // More than cores: they wait for processes and clocks.
          maxWorkers: 4,
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "engine",
          sequence: { groupOrder: 1 },
          globalSetup: ["test/setup-engines.ts"],
          include: ["test/**/*.engine.test.ts"],
          exclude: ["test/e2e/**"],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          name: "e2e",
          globalSetup: ["test/setup-engines.ts"],
          sequence: { groupOrder: 2 },
          include: ["test/e2e/**/*.test.ts"],
          exclude: ["test/**/*.kube.test.ts"],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: "kube",
          globalSetup: ["test/k8s/setup-cluster.ts"],
          setupFiles: ["test/k8s/start-cluster.ts"],
          sequence: { groupOrder: 3 },
          include: ["test/**/*.kube.test.ts"],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
