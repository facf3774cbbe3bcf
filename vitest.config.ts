import { defineConfig } from "vitest/config";

/** Suites that own engines (Postgres, Temporal, Docker) run one file at a time; the rest share the cores. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.engine.test.ts", "test/e2e/**"],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "engine",
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
          include: ["test/e2e/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
