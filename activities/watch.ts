import { Context, log } from "@temporalio/activity";
import type { ComputeWatcher, SeenReplica } from "../model/ports/compute.ts";
import type { RunRecords } from "../model/ports/records.ts";
import { messageOf } from "../model/errors.ts";
import { textOf, type RunIdentity } from "../model/run/identity.ts";
import { STORING_OUTPUTS } from "../model/run/lifecycle.ts";
import type { ReplicaChange } from "../model/run/replicas.ts";
import { Deliveries } from "./deliveries.ts";
import { RunSightings } from "./run-sightings.ts";
import { RunningCounts } from "./running-counts.ts";

const HEARTBEAT_MS = 1000;
/** Outputs that are stored within this time of their job's end are not worth a message. */
const STORED_MS = 2000;

export interface WatchPorts {
  watcher: ComputeWatcher;
  /**
   * Sends states to the workflow of their run; for a workflow that is closed or unknown there is nothing to do. States on
   * the way to the end are not sent, except that outputs are being stored for long: each would cost Temporal and the worker a
   * workflow task that does nothing.
   */
  reportReplicas(run: RunIdentity, changes: readonly ReplicaChange[]): Promise<void>;
  runs: Pick<RunRecords, "recordReason" | "recordRunningCount">;
}

export type WatchActivities = ReturnType<typeof watchActivities>;

interface Message {
  changes: readonly ReplicaChange[];
  isStoring: boolean;
}

/** The one long activity: it reports the states of all replicas for as long as its worker lives. */
export function watchActivities(ports: WatchPorts) {
  return {
    async watchCluster(): Promise<void> {
      const { cancellationSignal } = Context.current();
      const deliveries = new Deliveries<Message>({
        async send(run, { changes, isStoring }) {
          if (isStoring) await ports.runs.recordReason(run, STORING_OUTPUTS);
          await ports.reportReplicas(run, changes);
        },
        failed: ({ id: runId }, err) =>
          log.warn("state not delivered, trying again", { runId, reason: messageOf(err) }),
      });
      const counts = new RunningCounts(ports.runs, ({ id: runId }, err) =>
        log.warn("could not record how many replicas run", { runId, reason: messageOf(err) }),
      );
      const sightings = new RunSightings();
      /** Of the runs whose outputs are being stored; undefined when that was reported. */
      const storing = new Map<string, NodeJS.Timeout | undefined>();
      const forget = (key: string): void => {
        clearTimeout(storing.get(key));
        storing.delete(key);
      };
      const hear = async (run: RunIdentity, seen: SeenReplica): Promise<void> => {
        const key = textOf(run);
        const sighting = sightings.see(run, seen, performance.now());
        if (sighting.runningCount !== undefined) counts.see(run, sighting.runningCount);
        if (!sighting.storing) {
          forget(key);
          if (sighting.changes) deliveries.offer(run, { changes: sighting.changes, isStoring: false });
        } else if (!storing.has(key)) {
          const changes = sighting.storing;
          const tell = (): void => {
            storing.set(key, undefined);
            deliveries.offer(run, { changes, isStoring: true });
          };
          storing.set(key, setTimeout(tell, STORED_MS));
        }
      };
      const heartbeats = setInterval(() => Context.current().heartbeat(), HEARTBEAT_MS);
      try {
        await ports.watcher.watch(hear, cancellationSignal);
      } finally {
        clearInterval(heartbeats);
        deliveries.close();
        counts.close();
        for (const key of storing.keys()) forget(key);
      }
    },
  };
}
