import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../model/errors.ts";
import type { LogParts } from "../../model/ports/log-parts.ts";
import { turns } from "../../waiting/turns.ts";
import type { Kube } from "../client/kube.ts";
import { KubeRefusal } from "../client/kube-call.ts";
import { MAIN } from "../spec/main-container.ts";
import { replicaInMeta, runInMeta } from "../spec/names.ts";
import type { Pod } from "../spec/wire.ts";
import { CollectedLog } from "./collected-log.ts";
import { firstLookAtMs, LOG_PACE, MinuteCount, planLogs, type LogPace, type PlannedLog } from "./log-plan.ts";
import { openNodeLog } from "./node-log.ts";
import { streamOf } from "./stored-log.ts";

export interface LogCollectorOptions {
  kube: Kube;
  parts: LogParts;
  log: { warn(facts: object, message: string): void; info(facts: object, message: string): void };
  pace?: Partial<LogPace> | undefined;
}

/** Stores the logs of jobs that run, in parts, because their nodes drop old lines. */
export interface LogCollector {
  /** A pod as it is now. */
  see(pod: Pod): void;
  /** The pod is gone. */
  drop(pod: Pod): void;
  /** Collects until `signal` is aborted. Failures are logged, and tried again. */
  run(signal: AbortSignal): Promise<void>;
}

const TICK_MS = 250;
/** Requests at a time, besides those that follow. */
const LOOKS_AT_ONCE = 16;
/** The stream of a container that has ended ends by itself, unless its connection is dead. */
const LAST_LINES_MS = 10_000;

export function createLogCollector({ kube, parts, log, pace: given }: LogCollectorOptions): LogCollector {
  const pace = { ...LOG_PACE, ...given };
  const nowMs = (): number => kube.clock.nowMs();
  const logs = new Map<string, LiveLog>();
  const inTurn = turns(LOOKS_AT_ONCE);
  let failing = 0;

  const drop = (key: string): void => {
    const live = logs.get(key);
    logs.delete(key);
    if (live?.isFollowed) setTimeout(() => live.leave(), LAST_LINES_MS).unref();
  };

  /** Does `work` on a log, which no other work touches meanwhile. */
  async function attend(live: LiveLog, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    live.isBusy = true;
    try {
      await work();
      if (live.hasFailed) failing -= 1;
      if (live.hasFailed && failing === 0) log.info({}, "the logs of live runs are stored again");
      live.hasFailed = false;
    } catch (err) {
      if (signal.aborted) return;
      // The pod went away before the watch reported it, or its container is not started after all.
      if (err instanceof KubeRefusal && (err.statusCode === 404 || err.statusCode === 400)) return drop(live.key);
      live.pausedUntilMs = nowMs() + pace.retryMs;
      if (!live.hasFailed) failing += 1;
      if (!live.hasFailed && failing === 1) {
        log.warn({ reason: messageOf(err) }, "the log of a live run could not be stored, trying again");
      }
      live.hasFailed = true;
    } finally {
      live.lookedAtMs = nowMs();
      live.isBusy = false;
    }
  }

  const follow = async (live: LiveLog, signal: AbortSignal): Promise<void> => {
    const leaving = new AbortController();
    live.leave = () => leaving.abort();
    live.isFollowed = true;
    const either = AbortSignal.any([signal, leaving.signal]);
    await attend(live, () => live.collected.follow(either), either);
    live.isFollowed = false;
  };

  return {
    see(pod) {
      const key = keyOf(pod);
      const startedAt = runningSince(pod);
      if (startedAt === undefined) return drop(key);
      const run = pod.metadata && runInMeta(pod.metadata);
      const replica = pod.metadata && replicaInMeta(pod.metadata);
      if (!run || !replica || logs.has(key)) return;
      const written = new MinuteCount();
      const collected = new CollectedLog({
        parts,
        run,
        stream: streamOf(replica.index, MAIN),
        startedAt,
        pace,
        nowMs,
        open: (signal) => openNodeLog(kube, pod, MAIN, signal),
        onBytes: (bytes) => written.add(nowMs(), bytes),
      });
      const startedAtMs = Date.parse(startedAt);
      const firstAtMs = firstLookAtMs(startedAtMs, nowMs(), pace, Math.random);
      logs.set(key, new LiveLog(key, collected, startedAtMs, firstAtMs, () => written.bytes(nowMs())));
    },

    drop: (pod) => drop(keyOf(pod)),

    async run(signal) {
      const working = new Set<Promise<void>>();
      const begin = (work: Promise<void>): void => {
        working.add(work);
        void work.finally(() => working.delete(work));
      };
      while (!signal.aborted) {
        const plan = planLogs(logs.values(), nowMs(), pace);
        for (const live of plan.look) {
          live.isBusy = true;
          begin(inTurn(() => attend(live, () => live.collected.look(signal), signal)));
        }
        for (const live of plan.follow) begin(follow(live, signal));
        for (const live of plan.leave) live.leave();
        await sleep(TICK_MS, undefined, { signal }).catch(() => undefined);
      }
      await Promise.all(working);
    },
  };
}

const keyOf = ({ metadata }: Pod): string => metadata?.uid ?? metadata?.name ?? "";

const runningSince = ({ status }: Pod): string | undefined =>
  status?.containerStatuses?.find(({ name }) => name === MAIN)?.state?.running?.startedAt;

class LiveLog implements PlannedLog {
  readonly key: string;
  readonly collected: CollectedLog;
  readonly startedAtMs: number;
  readonly firstLookAtMs: number;
  lookedAtMs: number | undefined;
  isFollowed = false;
  isBusy = false;
  hasFailed = false;
  leave = (): void => {};
  pausedUntilMs = 0;
  readonly #minuteBytes: () => number;

  constructor(
    key: string,
    collected: CollectedLog,
    startedAtMs: number,
    firstLookAtMs: number,
    minuteBytes: () => number,
  ) {
    this.key = key;
    this.collected = collected;
    this.startedAtMs = startedAtMs;
    this.firstLookAtMs = firstLookAtMs;
    this.#minuteBytes = minuteBytes;
  }

  get minuteBytes(): number {
    return this.#minuteBytes();
  }
}
