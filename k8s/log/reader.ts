import { interleaved, lastOf, mergedByTime } from "../../model/log/merged-log.ts";
import type { ComputeReader } from "../../model/ports/compute.ts";
import type { LogLines, LogQuery } from "../../model/ports/log.ts";
import { indexesOf } from "../../model/run/replicas.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { logInstant } from "../../model/time/instant.ts";
import { eachOf, poll } from "../../waiting/bounded.ts";
import type { Kube } from "../client/kube.ts";
import { isReplica } from "../launch/replica.ts";
import type { PodSettings } from "../spec/cluster-settings.ts";
import { MAIN } from "../spec/main-container.ts";
import { podNameOf } from "../spec/names.ts";
import type { Pod } from "../spec/wire.ts";
import { removedMark } from "./log-marks.ts";
import { openPodLog, type PodLog } from "./pod-log.ts";

export interface KubeReaderOptions {
  kube: Kube;
  settings: PodSettings;
}

const LOOKS_AT_ONCE = 16;
/** Between two looks for a container that is not started yet. */
const START_POLL_MS = 300;

/** Reads from the cluster for the API; changes nothing. */
export function createKubeReader({ kube, settings }: KubeReaderOptions): ComputeReader {
  return {
    // The nodes pull images, and the run says what became of it.
    hasImage: async () => true,

    hasGpu: async () => settings.nodePools.some(({ hasGpu }) => hasGpu),

    async *logs(run, query, signal) {
      const find = async (replica: number): Promise<Pod | undefined> => {
        const pod = await kube.findPod(podNameOf(run.id, replica));
        return pod && isReplica(pod, { settings }, { run, replica }) ? pod : undefined;
      };
      const open = (pod: Pod, replica: number): PodLog => openPodLog(kube, pod, prefixOf(replica, run), signal);
      try {
        yield* logOf({ run, find, open }, query, signal);
      } catch (err) {
        if (!signal.aborted) throw err;
      }
    },
  };
}

const prefixOf = (replica: number, { replicaCount }: RunRecord): string =>
  replicaCount === 1 ? "" : `[job-${replica}] `;

interface Replicas {
  run: RunRecord;
  find: (replica: number) => Promise<Pod | undefined>;
  open: (pod: Pod, replica: number) => PodLog;
}

/** The logs of a run's replicas as one, in time order; what is added while they are followed comes as it arrives. */
async function* logOf(replicas: Replicas, query: LogQuery, signal: AbortSignal): LogLines {
  const { run, find, open } = replicas;
  const pods = await eachOf(indexesOf(run.replicaCount), LOOKS_AT_ONCE, find);
  if (query.toArchive) {
    const archived = pods.map((pod, replica) => (pod ? open(pod, replica).read(query) : removedLog(run, replica)));
    yield* mergedByTime(archived);
    return;
  }
  const there = pods.flatMap((pod, replica) =>
    pod && wasStarted(pod) ? [[replica, open(pod, replica)] as const] : [],
  );
  const isNone = pods.every((pod) => pod === undefined);
  if (isNone || (!query.follow && there.length === 0)) return;
  const soFar = new Map(there.map(([replica, log]) => [replica, { log, ...log.soFar(query) }]));
  yield* cutTo(query, mergedByTime([...soFar.values()].map(({ lines }) => lines)));
  if (!query.follow) return;
  const { tailLines: _tail, ...rest } = query;
  async function* late(replica: number): LogLines {
    const pod = await started(find, replica, signal);
    if (pod) yield* open(pod, replica).read(rest);
  }
  const followed = indexesOf(run.replicaCount).map((replica) => {
    const known = soFar.get(replica);
    return known ? known.log.follow(known.position, query) : late(replica);
  });
  yield* interleaved(followed);
}

/** The pod of a replica once its container was started; undefined when it is gone, or was over before. */
async function started(find: Replicas["find"], replica: number, signal: AbortSignal): Promise<Pod | undefined> {
  const look = async (): Promise<Pod | "none" | undefined> => {
    const pod = await find(replica);
    if (!pod || pod.status?.phase === "Failed") return pod && wasStarted(pod) ? pod : "none";
    return wasStarted(pod) ? pod : undefined;
  };
  const seen = await poll(look, { everyMs: START_POLL_MS, signal });
  return seen === "none" ? undefined : seen;
}

function wasStarted({ status }: Pod): boolean {
  const state = status?.containerStatuses?.find(({ name }) => name === MAIN)?.state;
  return state?.running !== undefined || Boolean(state?.terminated?.startedAt);
}

async function* removedLog(run: RunRecord, replica: number): LogLines {
  if (run.startedAt === undefined) return;
  yield [removedMark(logInstant(run.finishedAt ?? run.startedAt), prefixOf(replica, run))];
}

/** The last lines of all logs together: each of them has given as many. */
async function* cutTo({ tailLines }: LogQuery, lines: LogLines): LogLines {
  if (tailLines === undefined) yield* lines;
  else yield await lastOf(tailLines, lines);
}
