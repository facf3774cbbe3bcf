import { CodedError } from "../model/errors.ts";
import type { Run } from "../model/run/run.ts";

/** The clusters of a server, as its configuration lists them. All are of one kind. */
export interface Clusters<C extends { name: string }> {
  /** The default first. */
  all: readonly [C, ...C[]];
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
  if (!areShown || !requested) return all[0];
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
