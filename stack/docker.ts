import { engineCandidates, isAnswering, type DockerEngine } from "./docker-engine.ts";
import { startDockerd, useDockerd } from "./dockerd.ts";
import type { Report } from "./progress.ts";

export interface DockerSearch {
  dockerHost: string | undefined;
  userRuntimeDir: string | undefined;
  runtimeDir: string;
  path: string;
  uid: number;
  report: Report;
}

/**
 * A Docker engine that answers: the one of DOCKER_HOST, else one that runs here, else one that is started.
 * @throws Error naming the engine of DOCKER_HOST when it does not answer, or why none could be started.
 */
export async function findDocker(search: DockerSearch): Promise<DockerEngine> {
  for (const engine of engineCandidates(search.dockerHost, search.userRuntimeDir)) {
    if (await isAnswering(engine)) {
      useDockerd(search.runtimeDir);
      return engine;
    }
  }
  if (search.dockerHost) throw new Error(`The Docker engine at DOCKER_HOST '${search.dockerHost}' does not answer`);
  const engine = await startDockerd(search);
  useDockerd(search.runtimeDir);
  return engine;
}
