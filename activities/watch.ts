import { Context, log } from "@temporalio/activity";
import type { ComputeWatcher, SeenReplica } from "../model/ports/compute.ts";
import type { RunRecords } from "../model/ports/records.ts";
import { messageOf } from "../model/errors.ts";
import { textOf, type RunIdentity } from "../model/run/identity.ts";
import { STORING_OUTPUTS } from "../model/run/lifecycle.ts";
import type { ReplicaChange } from "../model/run/replicas.ts";
import type { Tagging } from "../model/run/tagging.ts";
import { Deliveries } from "./deliveries.ts";
import { LateStarts, type Postponed, type StartNews } from "./late-starts.ts";
import { RunSightings } from "./run-sightings.ts";
import { RunningCounts } from "./running-counts.ts";
import { taggingOf } from "./tagging.ts";

const HEARTBEAT_MS = 1000;
/** Outputs that are stored within this time of their job's end are not worth a message. */
const STORED_MS = 2000;

export interface WatchPorts {
  watcher: ComputeWatcher;
  /**
   * Sends states to the workflow of their run; for a workflow that is closed or unknown there is nothing to do. States on
   * the way to the end are not sent, except that outputs are being stored for long, and late starts: each would cost Temporal
   * and the worker a workflow task that does nothing.
   */
  reportReplicas(run: RunIdentity, changes: readonly ReplicaChange[], tagging?: Tagging): Promise<void>;
  runs: Pick<RunRecords, "recordReason" | "recordRunningCount">;
  /**
   * For an engine on which containers begin after their launch. Then the rows and workflows of runs are also told of their start,
   * and why they wait for it.
   */
  starts?: {
    runs: Pick<RunRecords, "recordWaiting" | "recordStart">;
    hasSearchAttributes: () => Promise<boolean>;
  };
}

export type WatchActivities = ReturnType<typeof watchActivities>;

interface Message {
  changes: readonly ReplicaChange[];
  /** Done first. */
  record?: () => Promise<Tagging>;
}

/** The one long activity: it reports the states of all replicas for as long as its worker lives. */
export function watchActivities(ports: WatchPorts) {
  return {
    async watchCluster(): Promise<void> {
      const { cancellationSignal } = Context.current();
      const deliveries = new Deliveries<Message>({
        send: async (run, { changes, record }) => ports.reportReplicas(run, changes, await record?.()),
        failed: ({ id: runId }, err) =>
          log.warn("state not delivered, trying again", { runId, reason: messageOf(err) }),
      });
      const counts = new RunningCounts(ports.runs, ({ id: runId }, err) =>
        log.warn("could not record how many replicas run", { runId, reason: messageOf(err) }),
      );
      const sightings = new RunSightings();
      const starts = ports.starts && { ...ports.starts, seen: new LateStarts(performance.now()) };
      /** Of the runs whose outputs are being stored; undefined when that was reported. */
      const storing = new Map<string, NodeJS.Timeout | undefined>();
      const forget = (key: string): void => {
        clearTimeout(storing.get(key));
        storing.delete(key);
      };
      const recordStart = async (run: RunIdentity, { startedAt, reason }: StartNews): Promise<Tagging> => {
        if (!starts) return {};
        if (startedAt === undefined) {
          await starts.runs.recordWaiting(run, reason);
          return {};
        }
        await starts.runs.recordStart(run, startedAt);
        // A count from before it was not taken.
        const count = sightings.runningCountOf(run);
        if (count !== undefined) counts.see(run, count);
        return taggingOf(starts.hasSearchAttributes);
      };
      const postponed = new Set<NodeJS.Timeout>();
      const tellStart = (run: RunIdentity, news: StartNews | Postponed | undefined): void => {
        if (!news) return;
        if ("changes" in news) {
          return deliveries.offer(run, { changes: news.changes, record: () => recordStart(run, news) });
        }
        const timer = setTimeout(() => {
          postponed.delete(timer);
          tellStart(run, starts?.seen.look(run, performance.now()));
        }, news.inMs);
        postponed.add(timer);
      };
      const hear = async (run: RunIdentity, seen: SeenReplica): Promise<void> => {
        const key = textOf(run);
        const nowMs = performance.now();
        const sighting = sightings.see(run, seen, nowMs);
        const news = starts?.seen.see(run, seen, nowMs);
        if (sighting.runningCount !== undefined) counts.see(run, sighting.runningCount);
        if (!sighting.storing) {
          forget(key);
          if (sighting.changes) deliveries.offer(run, { changes: sighting.changes });
          else tellStart(run, news);
        } else if (!storing.has(key)) {
          const changes = sighting.storing;
          const tell = (): void => {
            storing.set(key, undefined);
            const record = async (): Promise<Tagging> => {
              await ports.runs.recordReason(run, STORING_OUTPUTS);
              return {};
            };
            deliveries.offer(run, { changes, record });
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
        for (const timer of postponed) clearTimeout(timer);
        for (const key of storing.keys()) forget(key);
      }
    },
  };
}
