import { CodedError } from "../model/errors.ts";
import type { ComputeReader } from "../model/ports/compute.ts";
import type { Run } from "../model/run/run.ts";

/** The clusters of a server, as its configuration lists them. All are of one kind. */
export interface Clusters<C extends { name: string }> {
  /** The default first. */
  all: readonly C[];
  /** Whether clients choose and see them: a server with a single Docker engine ignores the field. */
  areShown: boolean;
}

/**
 * The cluster of a new run. Names match in any case.
 * @throws CodedError InvalidInput for an unknown name; clients compare the start of the message
 */
export function chooseCluster<C extends { name: string }>(
  { all, areShown }: Clusters<C>,
  requested: string | undefined,
): C {
  const [first] = all;
  if (!first) throw new Error("The server has no cluster");
  if (!areShown || !requested) return first;
  const name = requested.toLowerCase();
  const chosen = all.find((cluster) => cluster.name.toLowerCase() === name);
  if (chosen) return chosen;
  const known = all.map((cluster) => `'${cluster.name}'`).join(", ");
  throw new CodedError("InvalidInput", `Unknown cluster '${requested}'; this server has ${known}`);
}

/** The run as clients of the server see it. */
export function withShownCluster({ areShown }: Clusters<{ name: string }>, run: Run): Run {
  if (areShown) return run;
  const { cluster: _cluster, ...shown } = run;
  return shown;
}

/** The half of the clusters that the API can use, each for the runs that it has. */
export function readersOf({
  all,
}: Clusters<{ name: string; compute: ComputeReader }>): Pick<ComputeReader, "hasGpu" | "logs"> {
  return {
    async hasGpu() {
      const asked = await Promise.allSettled(all.map(({ compute }) => compute.hasGpu()));
      return asked.some((answer) => answer.status === "fulfilled" && answer.value);
    },

    async *logs(run, query, signal) {
      const cluster = all.find(({ name }) => name === run.cluster);
      if (!cluster) throw new CodedError("Unavailable", notConfigured(run.cluster));
      yield* cluster.compute.logs(run, query, signal);
    },
  };
}

/** Why nothing can be done for a run whose cluster was taken out of the configuration. */
export const notConfigured = (cluster: string): string =>
  `The cluster '${cluster}' of the run is not in the configuration of the server`;
