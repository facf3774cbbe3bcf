import type { Logger } from "pino";
import { writeWhole } from "../disk/write-whole.ts";
import type { LostRun } from "../runs/repair/ports.ts";

/** Keeps the file that `tyger status` shows, for all clusters of this process. */
export interface LostRuns {
  /** Replaces what is known of a cluster. */
  reporterOf(cluster: string): (lost: readonly LostRun[]) => void;
}

export function createLostRuns(file: string, log: Pick<Logger, "warn">): LostRuns {
  const known = new Map<string, readonly LostRun[]>();
  let reported = "";
  return {
    reporterOf: (cluster) => (found) => {
      known.set(cluster, found);
      const lost = [...known.values()].flat();
      const text = JSON.stringify(lost);
      if (text === reported) return;
      writeWhole(file, text);
      reported = text;
      if (lost.length > 0) log.warn({ lost }, "runs execute that the database does not know");
    },
  };
}
