import type { ComputeReader, LaunchClaims } from "../../model/ports/compute.ts";
import { mergedByTime } from "../../model/log/merged-log.ts";
import type { LogLines } from "../../model/ports/log.ts";
import { containerNameOf } from "../../model/run/names.ts";
import { indexesOf } from "../../model/run/replicas.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { logInstant } from "../../model/time/instant.ts";
import { poll } from "../../waiting/bounded.ts";
import { connectEngine, type ContainerInfo, type Engine } from "../engine/engine.ts";
import { isContainerOf, wasStarted } from "../launch/container-state.ts";
import { inspectSurely } from "../launch/gone.ts";
import { openLog } from "./container-log.ts";
import { removedMark } from "./log-cap.ts";
import { jobPrefixOf, logOfReplicas, type FindContainer } from "./replica-logs.ts";

export interface DockerReaderOptions {
  installationId: string;
  dockerHost?: string | undefined;
  /** For logs that are archived: their containers are found by the ids in the claims. */
  claims?: Pick<LaunchClaims, "find"> | undefined;
}

const START_POLL_MS = 50;

/** Reads from the engine for the API; changes nothing. */
export function createDockerReader({ installationId, dockerHost, claims }: DockerReaderOptions): ComputeReader {
  const engine = connectEngine(dockerHost);
  return {
    hasImage: (image) => engine.hasImage(image),

    hasGpu: async () => (await engine.gpu()).available,

    async *logs(run, query, signal) {
      try {
        if (query.toArchive) {
          const archived = indexesOf(run.replicaCount).map((replica) =>
            archivedLogOf(engine, { installationId, claims }, { run, replica }, signal),
          );
          return yield* archived.length === 1 && archived[0] ? archived[0] : mergedByTime(archived);
        }
        const find: FindContainer = async (replica) => {
          const info = await engine.inspect(containerNameOf(installationId, run.id, replica));
          return info && isContainerOf(info, installationId, run, replica) ? info : undefined;
        };
        if (run.replicaCount > 1) {
          return yield* logOfReplicas({ engine, find, count: run.replicaCount }, query, signal);
        }
        const info = await startedContainer(find, query.follow === true, signal);
        if (info) yield* openLog(engine, info, "", signal).read(query);
      } catch (err) {
        if (!signal.aborted) throw err;
      }
    },
  };
}

/** The log of a replica's container, or the mark of one that was removed after its start; nothing if none was started. */
async function* archivedLogOf(
  engine: Engine,
  { installationId, claims }: Pick<DockerReaderOptions, "installationId" | "claims">,
  { run, replica }: { run: RunRecord; replica: number },
  signal: AbortSignal,
): LogLines {
  const claim = await claims?.find(run, replica);
  const job = jobPrefixOf(replica, run.replicaCount);
  const id = claim?.containerId ?? containerNameOf(installationId, run.id, replica);
  // Some replicas of a run can have been stopped before their launch.
  const canBeStarted = run.startedAt !== undefined && (run.replicaCount === 1 || claim?.containerId !== undefined);
  const info = canBeStarted ? await inspectSurely(engine, id) : await engine.inspect(id);
  if (info && isContainerOf(info, installationId, run, replica)) {
    if (wasStarted(info)) yield* openLog(engine, info, job, signal).read({ toArchive: true });
  } else if (canBeStarted) {
    yield [removedMark(logInstant(run.finishedAt ?? run.startedAt ?? run.createdAt), job)];
  }
}

/** The container of the run, once it has been started; when following, waits for one that was only created. */
async function startedContainer(
  find: FindContainer,
  follow: boolean,
  signal: AbortSignal,
): Promise<ContainerInfo | undefined> {
  const look = async (): Promise<ContainerInfo | "none" | undefined> => {
    const info = await find(0);
    if (!info) return "none";
    return wasStarted(info) ? info : undefined;
  };
  const seen = await poll(look, { everyMs: START_POLL_MS, withinMs: follow ? Infinity : 0, signal });
  return seen === "none" ? undefined : seen;
}
