import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startEngine } from "../engine.ts";
import type { StackOptions } from "../stack.ts";
import { deployBadWorkflows } from "./deployment.ts";
import { denyWrites, restartEngine, starveJob, suspendPostgres } from "./engines.ts";
import { openScene, undoneOf, type Row, type Scene } from "./scene.ts";
import { forgetWorkflow, restoreTemporal, suspendTemporal, terminateWorkflows } from "./temporal.ts";
import { loseWorkers } from "./workers.ts";

/** Most of it is waiting while something is broken, and the stacks share the wait. */
const LIMIT_MS = 600_000;

/** A stack of its own for the acts, one after the other; gives the runs that are not done in the end. */
async function play(acts: readonly ((scene: Scene) => Promise<void>)[], options?: StackOptions): Promise<Row[]> {
  const scene = await openScene(options);
  try {
    for (const act of acts) await act(scene);
    return await undoneOf(scene);
  } finally {
    await scene.close();
  }
}

describe.concurrent("every run ends right, and within a minute after the broken part is back", () => {
  test(
    "Temporal is restored from a snapshot, its workflows are forgotten or terminated, it is away",
    { timeout: LIMIT_MS },
    async () => {
      expect(await play([restoreTemporal, forgetWorkflow, terminateWorkflows, suspendTemporal])).toEqual([]);
    },
  );

  test("workers are suspended in a launch and in the middle of heals, and killed", { timeout: LIMIT_MS }, async () => {
    expect(await play([loseWorkers])).toEqual([]);
  });

  test("a bad deployment fails each workflow task for two minutes", { timeout: LIMIT_MS }, async () => {
    expect(await play([deployBadWorkflows])).toEqual([]);
  });

  test(
    "Postgres is away or read-only, a container is pruned, one is killed, one out of memory, the engine restarts",
    { timeout: LIMIT_MS },
    async () => {
      const home = await mkdtemp(join(tmpdir(), "tyger-engine-"));
      const host = `unix://${home}/docker.sock`;
      const folders = [
        "--data-root",
        join(home, "data"),
        "--exec-root",
        join(home, "exec"),
        "--pidfile",
        join(home, "pid"),
      ];
      const network = ["--bridge", "none", "--iptables=false"];
      const engine = await startEngine(host, join(home, "log"), ["dockerd", "--host", host, ...folders, ...network]);
      try {
        const restart = (scene: Scene): Promise<void> => restartEngine(scene, engine);
        expect(await play([suspendPostgres, denyWrites, starveJob, restart], { env: { DOCKER_HOST: host } })).toEqual(
          [],
        );
      } finally {
        await engine.stop();
        await rm(home, { recursive: true, force: true });
      }
    },
  );
});
