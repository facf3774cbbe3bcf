import { Context, log } from "@temporalio/activity";
import type { ComputeWatcher } from "../model/ports/compute.ts";
import { messageOf } from "../model/errors.ts";
import { textOf, type RunIdentity } from "../model/run/identity.ts";
import { isDecisive, type ReplicaState } from "../model/run/lifecycle.ts";

const HEARTBEAT_MS = 1000;
const RESEND_MS = 1000;

export interface WatchPorts {
  watcher: ComputeWatcher;
  /**
   * Sends a state to the workflow of its run; for a workflow that is closed or unknown there is nothing to do. States on
   * the way to the end are not sent: each would cost Temporal and the worker a workflow task that does nothing.
   */
  reportReplica(run: RunIdentity, state: ReplicaState): Promise<void>;
}

export type WatchActivities = ReturnType<typeof watchActivities>;

/** The one long activity: it reports the states of all replicas for as long as its worker lives. */
export function watchActivities(ports: WatchPorts) {
  return {
    async watchCluster(): Promise<void> {
      const { cancellationSignal } = Context.current();
      const undelivered = new Map<string, { run: RunIdentity; state: ReplicaState }>();
      const deliver = async (run: RunIdentity, state: ReplicaState): Promise<void> => {
        if (!isDecisive(state)) return;
        const key = textOf(run);
        undelivered.set(key, { run, state });
        try {
          await ports.reportReplica(run, state);
          // A newer state can have arrived while this one was being sent.
          if (undelivered.get(key)?.state === state) undelivered.delete(key);
        } catch (err) {
          log.warn("state not delivered, trying again", { runId: run.id, reason: messageOf(err) });
        }
      };
      const heartbeats = setInterval(() => Context.current().heartbeat(), HEARTBEAT_MS);
      const resends = setInterval(() => {
        for (const { run, state } of undelivered.values()) void deliver(run, state);
      }, RESEND_MS);
      try {
        await ports.watcher.watch(deliver, cancellationSignal);
      } finally {
        clearInterval(heartbeats);
        clearInterval(resends);
      }
    },
  };
}
