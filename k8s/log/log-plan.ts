/** How the logs of live containers are collected. */
export interface LogPace {
  /** A new container is read this long after its start: a node checks every 10 s whether a log has become too long. */
  firstLookMs: number;
  /** The longest pause between two looks at a container. */
  lookMs: number;
  /** A container that writes more than this in a minute is followed. */
  followBytes: number;
  /** How many are followed at once; each takes a connection and up to one part of memory. */
  followers: number;
  /** Lines are stored once they are this much. */
  partBytes: number;
  /** Lines are stored once they are as old as this. */
  partAgeMs: number;
  /** As `partAgeMs`, for a container that is followed. */
  flushMs: number;
  /** The pause after a log could not be read or stored. */
  retryMs: number;
}

export const LOG_PACE: LogPace = {
  firstLookMs: 4_000,
  lookMs: 30_000,
  followBytes: 1_000_000,
  followers: 200,
  partBytes: 1024 * 1024,
  partAgeMs: 600_000,
  flushMs: 30_000,
  retryMs: 5_000,
};

/** A container that runs, as far as the plan cares. */
export interface PlannedLog {
  /** When it was started, by the clock of the cluster. */
  startedAtMs: number;
  /** When it is to be read first. */
  firstLookAtMs: number;
  /** It could not be read or stored, and is left alone until then. */
  pausedUntilMs: number;
  /** When it was read last. */
  lookedAtMs: number | undefined;
  /** The amount of the last minute. */
  minuteBytes: number;
  isFollowed: boolean;
  /** It is being read. */
  isBusy: boolean;
}

/** The logs to read at this moment. */
export interface LogPlan<T> {
  look: T[];
  follow: T[];
  /** No longer to be followed. */
  leave: T[];
}

const MINUTE_MS = 60_000;
const SHORTEST_MS = 500;

/** When a log is read first. Those of containers that have run for long, which a new process finds all at once, are spread. */
export function firstLookAtMs(startedAtMs: number, nowMs: number, pace: LogPace, random: () => number): number {
  const isNew = nowMs - startedAtMs < pace.lookMs;
  return isNew ? startedAtMs + pace.firstLookMs : nowMs + random() * pace.lookMs;
}

/** Decides which logs are read next: often while a container is new or writes much, seldom while it is quiet. */
export function planLogs<T extends PlannedLog>(logs: Iterable<T>, nowMs: number, pace: LogPace): LogPlan<T> {
  const plan: LogPlan<T> = { look: [], follow: [], leave: [] };
  const loud: T[] = [];
  let free = pace.followers;
  for (const log of logs) {
    const isLoud = log.minuteBytes > pace.followBytes;
    if (log.isFollowed) {
      if (isLoud) free -= 1;
      else plan.leave.push(log);
    } else if (!log.isBusy && log.pausedUntilMs <= nowMs) {
      if (isLoud) loud.push(log);
      else if (nextLookAtMs(log, pace) <= nowMs) plan.look.push(log);
    }
  }
  loud.sort((a, b) => b.minuteBytes - a.minuteBytes);
  for (const [at, log] of loud.entries()) {
    if (at < free) plan.follow.push(log);
    else if (nextLookAtMs(log, pace) <= nowMs) plan.look.push(log);
  }
  return plan;
}

/** Twice as late each time, but before the container writes a whole part at its present pace. */
export function nextLookAtMs(log: PlannedLog, pace: LogPace): number {
  const { startedAtMs, firstLookAtMs, lookedAtMs, minuteBytes } = log;
  if (lookedAtMs === undefined) return firstLookAtMs;
  const byAge = Math.max(pace.firstLookMs, lookedAtMs - startedAtMs);
  const byAmount = Math.max(SHORTEST_MS, (pace.partBytes * MINUTE_MS) / Math.max(1, minuteBytes));
  return lookedAtMs + Math.min(pace.lookMs, byAge, byAmount);
}

/** How many bytes came in the last minute. */
export class MinuteCount {
  /** `[second, bytes]`, in order. */
  #seconds: [number, number][] = [];

  add(nowMs: number, bytes: number): void {
    if (bytes === 0) return;
    const second = Math.floor(nowMs / 1000);
    const last = this.#seconds.at(-1);
    if (last?.[0] === second) last[1] += bytes;
    else this.#seconds.push([second, bytes]);
  }

  bytes(nowMs: number): number {
    const from = Math.floor((nowMs - MINUTE_MS) / 1000);
    if ((this.#seconds[0]?.[0] ?? Infinity) <= from) this.#seconds = this.#seconds.filter(([second]) => second > from);
    return this.#seconds.reduce((sum, [, bytes]) => sum + bytes, 0);
  }
}
