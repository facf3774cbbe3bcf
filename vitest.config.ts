import { defineConfig } from "vitest/config";

/** One suite after the other. Suites that own engines (Postgres, Temporal, Docker) run one file at a time; the rest share the cores. */
export default defineConfig({
  test: {
    reporters: ["default", "./test/count-reporter.ts"],
    projects: [
      {
        test: {
          name: "unit",
          sequence: { groupOrder: 0 },
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.engine.test.ts", "test/e2e/**"],
          // More than cores: the long ones wait for pumps and clocks.
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
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
