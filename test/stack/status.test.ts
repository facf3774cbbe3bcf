import { expect, test } from "vitest";
import { readStackConfig } from "../../config/stack.ts";
import { describeStack } from "../../stack/status.ts";

test("given servers are shown with their addresses", () => {
  const given = { postgres: "db.example:5433", temporal: "temporal.example:7233" };
  const log = { state: "ready", restarts: 0, logFile: "/l" } as const;
  const processes = [
    { name: "api", ...log },
    { name: "worker", ...log },
  ];
  const text = describeStack(
    { version: "v1", pid: 7, isReady: true, given, dockerHost: "unix:///d", apiSocket: "/a", processes },
    readStackConfig({ HOME: "/home/ada" }),
  );
  expect(text.split("\n").slice(0, 5)).toEqual([
    "The stack is up.",
    "  api     ready, log /l",
    "  worker  ready, log /l",
    "Postgres      db.example:5433, from DATABASE_URL",
    "Temporal      temporal.example:7233, from TEMPORAL_ADDRESS",
  ]);
});
