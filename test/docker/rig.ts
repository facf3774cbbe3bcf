import { randomBytes, randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { inject } from "vitest";
import { attemptFoldersOf, runsWithFolders } from "../../docker/launch/attempt-folder.ts";
import { connectEngine, type Engine } from "../../docker/engine/engine.ts";
import { readEvents } from "../../docker/engine/events.ts";
import { localPump } from "../../docker/pump/pump-link.ts";
import { createDockerReader } from "../../docker/log/reader.ts";
import { createDockerWatcher } from "../../docker/watcher.ts";
import { createDockerWriter } from "../../docker/launch/writer.ts";
import { base32 } from "../../model/buffer/buffer.ts";
import type { JobCodespec } from "../../model/codespec/codespec.ts";
import type { LaunchClaims } from "../../model/ports/compute.ts";
import { LABEL_INSTALLATION } from "../../model/run/names.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { scriptOf, type ComputeUnderTest } from "../ports/compute.ts";
import { PUMP_MAIN } from "../pump/pump-process.ts";
import { createFakeClaims } from "../fakes/launch-claims.ts";

const FAKE_PUMP = resolve(import.meta.dirname, "../fakes/pump.ts");

/** An installation of its own on the real engine. */
export interface DockerRig extends ComputeUnderTest {
  installationId: string;
  engine: Engine;
  runsDir: string;
  claims: ReturnType<typeof createFakeClaims>;
  /** Another worker's, with these claims, that may reach the engine on a way of its own. */
  writerWith(claims: LaunchClaims, dockerHost?: string): ReturnType<typeof createDockerWriter>;
  /** A run of a shell script. */
  shell(script: string, more?: Partial<JobCodespec>): RunRecord;
}

/**
 * `dockerHost`: what stands between the code under test and the engine. With `storeDir`, real pumps move the bytes of the
 * buffers there.
 */
export async function openDockerRig(dockerHost?: string, storeDir?: string): Promise<DockerRig> {
  const installationId = base32(randomBytes(6));
  const runsDir = await mkdtemp(join(tmpdir(), "tyger-docker-"));
  const claims = createFakeClaims();
  const engine = connectEngine();
  const begins = new Map<number, number>();
  const closing = new AbortController();
  const labels = { [LABEL_INSTALLATION]: installationId };
  const events = await engine.events(labels, closing.signal);
  const counting = (async () => {
    for await (const { action, run } of readEvents(events)) {
      if (action === "start") begins.set(run.id, (begins.get(run.id) ?? 0) + 1);
    }
  })().catch(() => undefined);

  const writerWith = (given: LaunchClaims, host = dockerHost): ReturnType<typeof createDockerWriter> =>
    createDockerWriter({
      installationId,
      dockerHost: host,
      claims: given,
      runsDir,
      placeOf: async () => ({ storeDir: storeDir ?? "/nowhere" }),
      dataPlane: undefined,
      pumpCommand: { node: process.execPath, main: storeDir === undefined ? FAKE_PUMP : PUMP_MAIN },
      stopGraceSeconds: 1,
    });
  const shell = (script: string, more: Partial<JobCodespec> = {}): RunRecord =>
    runOf({ kind: "job", image: inject("testImage"), command: ["bash", "-c", script], ...more });

  return {
    installationId,
    engine,
    runsDir,
    claims,
    writer: writerWith(claims),
    reader: createDockerReader({ installationId, dockerHost, claims }),
    watcher: createDockerWatcher({ installationId, dockerHost, claims, runsDir, log: { warn() {} } }),
    writerWith,
    anotherWriter: () => writerWith(claims),
    shell,
    run: (script) => {
      const buffers = script.hasBuffers ? { buffers: { inputs: ["in"], outputs: ["out"] } } : {};
      const run = shell(scriptOf(script), {
        ...buffers,
        ...(script.isBroken ? { command: ["/no/such/program"] } : {}),
      });
      return { ...run, replicaCount: script.replicas ?? 1 };
    },
    begins: (run) => begins.get(run.id) ?? 0,
    async close() {
      closing.abort();
      await counting;
      for (const { Id } of await engine.list(labels)) await engine.remove(Id, { force: true });
      for (const run of await runsWithFolders(runsDir)) {
        for (const folder of await attemptFoldersOf(runsDir, run))
          await localPump(folder).command({ command: "abandon" }, 500);
      }
      await rm(runsDir, { recursive: true, force: true });
    },
  };
}

/** A run of this codespec, with a buffer for each parameter. */
export function runOf(codespec: JobCodespec): RunRecord {
  const parameters = [...(codespec.buffers?.inputs ?? []), ...(codespec.buffers?.outputs ?? [])];
  return {
    id: randomInt(1, 1_000_000_000),
    uid: base32(randomBytes(10)),
    eTag: "1",
    status: "Pending",
    cluster: "docker",
    createdAt: new Date().toISOString(),
    job: { codespec, buffers: Object.fromEntries(parameters.map((name) => [name, base32(randomBytes(16))])) },
    timeoutSeconds: 600,
    bufferAccessTtl: "01:00:00",
    replicaCount: 1,
    revision: 0,
  };
}
