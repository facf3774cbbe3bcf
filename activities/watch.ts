import { Context, log } from "@temporalio/activity";
import type { ComputeWatcher } from "../model/ports/compute.ts";
import type { RunRecords } from "../model/ports/records.ts";
import { messageOf } from "../model/errors.ts";
import { textOf, type RunIdentity } from "../model/run/identity.ts";
import { isDecisive, isStoring, STORING_OUTPUTS, type ReplicaState } from "../model/run/lifecycle.ts";
import { Deliveries } from "./deliveries.ts";

const HEARTBEAT_MS = 1000;
/** Outputs that are stored within this time of their job's end are not worth a message. */
const STORED_MS = 2000;

export interface WatchPorts {
  watcher: ComputeWatcher;
  /**
   * Sends a state to the workflow of its run; for a workflow that is closed or unknown there is nothing to do. States on
   * the way to the end are not sent, except that outputs are being stored for long: each would cost Temporal and the worker a
   * workflow task that does nothing.
   */
  reportReplica(run: RunIdentity, state: ReplicaState): Promise<void>;
  runs: Pick<RunRecords, "recordReason">;
}

export type WatchActivities = ReturnType<typeof watchActivities>;

/** The one long activity: it reports the states of all replicas for as long as its worker lives. */
export function watchActivities(ports: WatchPorts) {
  return {
    async watchCluster(): Promise<void> {
      const { cancellationSignal } = Context.current();
      const deliveries = new Deliveries({
        async send(run, state) {
          if (isStoring(state)) await ports.runs.recordReason(run, STORING_OUTPUTS);
          await ports.reportReplica(run, state);
        },
        failed: ({ id: runId }, err) =>
          log.warn("state not delivered, trying again", { runId, reason: messageOf(err) }),
      });
      /** Of the runs whose outputs are being stored; undefined when that was reported. */
      const storing = new Map<string, NodeJS.Timeout | undefined>();
      const forget = (key: string): void => {
        clearTimeout(storing.get(key));
        storing.delete(key);
      };
      const hear = async (run: RunIdentity, state: ReplicaState): Promise<void> => {
        const key = textOf(run);
        if (!isStoring(state)) {
          forget(key);
          if (isDecisive(state)) deliveries.offer(run, state);
        } else if (!storing.has(key)) {
          const tell = (): void => {
            storing.set(key, undefined);
            deliveries.offer(run, state);
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
        for (const key of storing.keys()) forget(key);
      }
    },
  };
}
