import { engineAddressOf, type EngineAddress } from "../../docker/engine/engine-address.ts";
import { messageOf } from "../../model/errors.ts";
import { engineAt } from "./docker-engine.ts";
import { findDocker, type DockerSearch } from "./docker.ts";

/** The engine of a cluster of the local stack. */
export interface ClusterEngine {
  name: string;
  engine: EngineAddress;
  isAnswering: boolean;
}

/**
 * Finds the engine of each cluster. One that does not answer is reported, because the runs of the others can continue
 * without it.
 * @param clusters the default first; one without an address has the engine that {@link findDocker} finds
 * @throws Error when none answers, or an address is one that the local stack cannot use
 */
export async function findClusterEngines(
  search: Omit<DockerSearch, "dockerHost">,
  clusters: readonly { name: string; dockerHost: string | undefined }[],
): Promise<ClusterEngine[]> {
  for (const { dockerHost } of clusters) if (dockerHost !== undefined) engineAt(dockerHost);
  const engines: ClusterEngine[] = [];
  let problem: unknown;
  // One after the other, because each takes the machine's lock of engines.
  for (const { name, dockerHost } of clusters) {
    try {
      // The claim stays until this process ends; by then the supervisor has its own.
      const { engine } = await findDocker({ ...search, dockerHost });
      engines.push({ name, engine, isAnswering: true });
    } catch (err) {
      problem ??= err;
      if (clusters.length > 1) search.report(`the cluster '${name}' cannot be used yet: ${messageOf(err)}`);
      engines.push({ name, engine: engineAddressOf(dockerHost), isAnswering: false });
    }
  }
  if (!engines.some(({ isAnswering }) => isAnswering)) throw problem;
  return engines;
}
