import { interleaved, lastOf, mergedByTime } from "../../model/log/merged-log.ts";
import type { LogLines, LogQuery } from "../../model/ports/log.ts";
import { indexesOf } from "../../model/run/replicas.ts";
import { eachOf, poll } from "../../waiting/bounded.ts";
import type { ContainerInfo, Engine } from "../engine/engine.ts";
import { wasStarted } from "../launch/container-state.ts";
import { openLog, type ContainerLog } from "./container-log.ts";

/** The container of a replica, started or not. */
export type FindContainer = (replica: number) => Promise<ContainerInfo | undefined>;

export interface Replicas {
  engine: Engine;
  find: FindContainer;
  count: number;
}

const LOOKS_AT_ONCE = 16;
/** Between two looks for a container that was not started yet, while those of other replicas are followed. */
const START_POLL_MS = 500;

/** The part of a log's prefix that names the replica. */
export const jobPrefixOf = (replica: number, count: number): string => (count === 1 ? "" : `[job-${replica}]`);

/** The logs of a run's replicas as one, in time order; what is added while they are followed comes as it arrives. */
export async function* logOfReplicas(replicas: Replicas, query: LogQuery, signal: AbortSignal): LogLines {
  const { engine, count, find } = replicas;
  const started = async (replica: number): Promise<ContainerLog | undefined> => {
    const info = await find(replica);
    return info && wasStarted(info) ? openLog(engine, info, jobPrefixOf(replica, count), signal) : undefined;
  };
  const logs = await eachOf(indexesOf(count), LOOKS_AT_ONCE, started);
  const there = logs.filter((log) => log !== undefined);
  if (there.length === 0) return;
  if (!query.follow) {
    yield* cutTo(query, mergedByTime(there.map((log) => log.read(query))));
    return;
  }
  const soFar = await eachOf(there, LOOKS_AT_ONCE, async (log) => ({ log, ...(await log.soFar(query)) }));
  yield* cutTo(query, mergedByTime(soFar.map(({ lines }) => lines)));
  const positions = new Map(soFar.map(({ log, position }) => [log, position]));
  const { tailLines: _tail, ...rest } = query;
  async function* late(replica: number): LogLines {
    const log = await poll(() => started(replica), { everyMs: START_POLL_MS, signal });
    if (log) yield* log.read(rest);
  }
  const followed = logs.map((log, replica) => {
    const position = log && positions.get(log);
    return log && position ? log.follow(position, query) : late(replica);
  });
  yield* interleaved(followed);
}

/** The last lines of all logs together: each of them has given as many. */
async function* cutTo({ tailLines }: LogQuery, lines: LogLines): LogLines {
  if (tailLines === undefined) yield* lines;
  else yield await lastOf(tailLines, lines);
}
