import { bufferParametersOf } from "../../model/codespec/codespec.ts";
import { interleaved, lastOf, mergedByTime } from "../../model/log/merged-log.ts";
import type { ComputeReader } from "../../model/ports/compute.ts";
import type { LogLine, LogLines, LogQuery } from "../../model/ports/log.ts";
import type { LogParts } from "../../model/ports/log-parts.ts";
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
import { prefixed } from "./log-lines.ts";
import { removedMark } from "./log-marks.ts";
import { openPodLog, type PodLog } from "./pod-log.ts";
import { LogReading, storedLogOf, streamOf, type StoredLog } from "./stored-log.ts";

export interface KubeReaderOptions {
  kube: Kube;
  settings: PodSettings;
  parts: LogParts;
}

const LOOKS_AT_ONCE = 16;
/** Between two looks for a container that is not started yet. */
const START_POLL_MS = 300;

/** Reads from the cluster, and the parts that were stored of its logs; changes nothing. */
export function createKubeReader({ kube, settings, parts }: KubeReaderOptions): ComputeReader {
  return {
    // The nodes pull images, and the run says what became of it.
    hasImage: async () => true,

    hasGpu: async () => settings.nodePools.some(({ hasGpu }) => hasGpu),

    async *logs(run, query, signal) {
      const stored = (replica: number, container: string): StoredLog =>
        storedLogOf(parts, run, streamOf(replica, container));
      const replicas: Replicas = {
        run,
        async find(replica) {
          const pod = await kube.findPod(podNameOf(run.id, replica));
          return pod && isReplica(pod, { settings }, { run, replica }) ? pod : undefined;
        },
        open: (pod, replica) =>
          containersOf(pod).map((container) => {
            const prefix = prefixOf(run, replica, container);
            return openPodLog({ kube, pod, container, prefix, stored: stored(replica, container) }, signal);
          }),
        // The log of no other container is stored in parts.
        removed: (replica) =>
          prefixed(prefixOf(run, replica, MAIN), new LogReading().stored(stored(replica, MAIN), {})),
      };
      try {
        yield* logOf(replicas, query, signal);
      } catch (err) {
        if (!signal.aborted) throw err;
      }
    },
  };
}

const containersOf = ({ spec }: Pod): string[] => (spec?.containers ?? []).map(({ name }) => name);

/** The run decides, not the pod: containers that we add to a run without buffers are not named. */
function prefixOf({ replicaCount, job }: RunRecord, replica: number, container: string): string {
  const pod = replicaCount === 1 ? "" : `[job-${replica}]`;
  const prefix = bufferParametersOf(job.codespec).length > 0 ? `${pod}[${container}]` : pod;
  return prefix === "" ? "" : `${prefix} `;
}

interface Replicas {
  run: RunRecord;
  find: (replica: number) => Promise<Pod | undefined>;
  /** The logs of all containers of a pod. */
  open: (pod: Pod, replica: number) => readonly PodLog[];
  /** The stored part of the log of a replica that has no pod any more. */
  removed: (replica: number) => LogLines;
}

/** The logs of a run's replicas as one, in time order; what is added while they are followed comes as it arrives. */
async function* logOf(replicas: Replicas, query: LogQuery, signal: AbortSignal): LogLines {
  const { run, find, open, removed } = replicas;
  const pods = await eachOf(indexesOf(run.replicaCount), LOOKS_AT_ONCE, find);
  if (query.toArchive) {
    const archived = pods.flatMap((pod, replica) =>
      pod ? open(pod, replica).map((log) => log.read(query)) : [marked(removed(replica), replica, run)],
    );
    yield* mergedByTime(archived);
    return;
  }
  const there = pods.flatMap((pod, replica) =>
    pod && wasStarted(pod) ? [[replica, open(pod, replica)] as const] : [],
  );
  const isNone = pods.every((pod) => pod === undefined);
  if (isNone || (!query.follow && there.length === 0)) return;
  const soFar = new Map(
    there.map(([replica, logs]) => [replica, logs.map((log) => ({ log, ...log.soFar(query) }))] as const),
  );
  yield* cutTo(query, mergedByTime([...soFar.values()].flatMap((logs) => logs.map(({ lines }) => lines))));
  if (!query.follow) return;
  const { tailLines: _tail, ...rest } = query;
  async function* late(replica: number): LogLines {
    const pod = await started(find, replica, signal);
    if (pod) yield* interleaved(open(pod, replica).map((log) => log.read(rest)));
  }
  const followed = indexesOf(run.replicaCount).flatMap((replica) => {
    const known = soFar.get(replica);
    return known ? known.map(({ log, reading }) => log.follow(reading, query)) : [late(replica)];
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

/** The log of a replica whose pod was removed. */
async function* marked(lines: LogLines, replica: number, run: RunRecord): LogLines {
  yield* lines;
  if (run.startedAt === undefined) return;
  const mark = removedMark(logInstant(run.finishedAt ?? run.startedAt));
  yield* prefixed(prefixOf(run, replica, MAIN), once(mark));
}

async function* once(line: LogLine): LogLines {
  yield [line];
}

/** The last lines of all logs together: each of them has given as many. */
async function* cutTo({ tailLines }: LogQuery, lines: LogLines): LogLines {
  if (tailLines === undefined) yield* lines;
  else yield await lastOf(tailLines, lines);
}
