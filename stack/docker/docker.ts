import { canInstallPackages } from "../host/debian.ts";
import type { EngineAddress } from "../../docker/engine/engine-address.ts";
import { engineCandidates, refusalOf } from "./docker-engine.ts";
import { lockDockerd, startDockerd } from "./dockerd.ts";
import { claimEngine, stackNameOf } from "./engine-claims.ts";
import type { Report } from "../host/progress.ts";

export interface DockerSearch {
  dockerHost: string | undefined;
  userRuntimeDir: string | undefined;
  runtimeDir: string;
  path: string;
  uid: number;
  report: Report;
}

/** An engine and this process's claim on it, which ends with the process at the latest. */
export interface FoundDocker {
  engine: EngineAddress;
  claim: AsyncDisposable;
}

/**
 * Finds a Docker engine that answers: the one of DOCKER_HOST, else one that is running, else one that it starts.
 * @throws Error naming the engine of DOCKER_HOST if it does not answer, or why none could be started.
 */
export async function findDocker(search: DockerSearch): Promise<FoundDocker> {
  // Only root's commands start and stop an engine; none must do so between our check and our claim.
  await using _locked = search.uid === 0 ? await lockDockerd(search.report) : undefined;
  let reason: string | undefined;
  for (const engine of engineCandidates(search.dockerHost, search.userRuntimeDir)) {
    // Before the check: other users hold no lock, and the `down` of another stack must not stop the engine meanwhile.
    const claim = await claimEngine(engine, stackNameOf(search));
    const refusal = await refusalOf(engine);
    if (refusal === undefined) return { engine, claim };
    await claim[Symbol.asyncDispose]();
    reason ??= `The Docker engine at '${engine.host}' cannot be used: ${refusal}`;
  }
  if (search.dockerHost || !canInstallPackages(search.path, search.uid)) {
    throw new Error(
      reason ?? "No Docker engine is running on this machine; install and start one, or name one in DOCKER_HOST",
    );
  }
  const engine = await startDockerd(search);
  return { engine, claim: await claimEngine(engine, stackNameOf(search)) };
}
