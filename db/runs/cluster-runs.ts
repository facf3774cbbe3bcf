import { notFound } from "../../model/errors.ts";
import type { ClusterRunRecords } from "../../model/ports/records.ts";
import type { Db } from "../client.ts";
import { admitRun, nextToAdmit } from "./admission.ts";
import { repairLists } from "./repair-lists.ts";
import { runRecords } from "./runs.ts";

/** The rows of one cluster's runs: whatever its workers do to a run begins with one of these lists, or by loading it. */
export function clusterRunRecords(db: Db, cluster: string): Omit<ClusterRunRecords, "listen"> {
  const records = runRecords(db);
  return {
    ...records,
    async load(identity) {
      const run = await records.load(identity);
      if (run.cluster !== cluster) throw notFound();
      return run;
    },
    admit: (id, limit) => admitRun(db, id, { cluster, limit }),
    nextToAdmit: (limit) => nextToAdmit(db, { cluster, limit }),
    ...repairLists(db, cluster),
  };
}
