import type { Logger } from "pino";
import { CodedError, messageOf } from "../model/errors.ts";
import type { ComputeWriter } from "../model/ports/compute.ts";
import type { Database } from "../model/ports/database.ts";
import type { LogArchive } from "../model/ports/log.ts";
import type { BufferStore } from "../model/ports/store.ts";
import { notConfigured } from "../runs/clusters.ts";
import { createCaretaker, type Repair } from "../runs/repair/repair.ts";
import type { Client } from "../temporal/connection.ts";
import { createClusterWorkflows } from "../temporal/run-workflows.ts";
import { poll } from "../waiting/bounded.ts";
import { reconcileCluster } from "./cluster.ts";

const LOOK_MS = 60_000;

export interface UnservedPorts {
  db: Database;
  store: BufferStore;
  archive: LogArchive;
  client: Client;
  /** Of all clusters of the server. */
  clusterNames: readonly string[];
  log: Logger;
}

/**
 * Looks after the runs of clusters that are not in the configuration, until `signal` is aborted: without it, a cancel or a deadline of
 * such a run would never come to anything. The lease of the cluster leaves it to a worker that has the cluster after all.
 */
export async function lookAfterUnserved(ports: UnservedPorts, signal: AbortSignal): Promise<void> {
  const { db, clusterNames, log } = ports;
  const ends = new Map<string, Promise<void>>();
  const look = async (): Promise<undefined> => {
    try {
      for (const name of await db.runs.clustersInUse()) {
        if (clusterNames.includes(name) || ends.has(name)) continue;
        log.warn(
          { cluster: name },
          "runs are in a cluster that is not in the configuration: none of them can continue",
        );
        const repairOf = (mayAct: () => boolean): Repair => createCaretaker(caretakerPorts(ports, name, mayAct));
        ends.set(name, (await reconcileCluster(repairOf, { name, leases: db.leases, log }, signal)).ended);
      }
    } catch (err) {
      log.warn({ reason: messageOf(err) }, "could not look for runs of clusters that are not in the configuration");
    }
    return undefined;
  };
  await poll(look, { everyMs: LOOK_MS, signal });
  await Promise.all(ends.values());
}

function caretakerPorts({ db, store, archive, client, log }: UnservedPorts, name: string, mayAct: () => boolean) {
  const refuse = (): Promise<never> => Promise.reject(new CodedError("Unavailable", notConfigured(name)));
  const compute: ComputeWriter = {
    provision: refuse,
    launch: refuse,
    stop: refuse,
    observe: refuse,
    remove: refuse,
    survey: refuse,
  };
  return {
    runs: db.runsIn(name),
    workflows: createClusterWorkflows(client, db.installationId, name),
    compute,
    // Nothing is archived here.
    logs: { logs: async function* () {} },
    archive,
    store,
    // None is offered: the workflows of these runs would not ask for it.
    maxLiveRuns: 0,
    reportLost: () => undefined,
    mayAct,
    log,
  };
}
