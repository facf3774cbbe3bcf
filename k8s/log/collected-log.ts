import { ZERO_INSTANT, type LogLine } from "../../model/ports/log.ts";
import type { CollectedLines, LogParts } from "../../model/ports/log-parts.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import { turns } from "../../waiting/turns.ts";
import { lateMark, lostMark, mayLackStart } from "./log-marks.ts";
import { LogOverlap } from "./log-overlap.ts";
import type { LogPace } from "./log-plan.ts";
import type { NodeLog } from "./node-log.ts";
import { firstInstantOf } from "./stored-log.ts";

/** Nodes and parts keep the instant of each line, too. */
const INSTANT_BYTES = ZERO_INSTANT.length + 1;

export interface CollectedLogOptions {
  parts: LogParts;
  run: RunIdentity;
  stream: string;
  startedAt: string;
  pace: Pick<LogPace, "partBytes" | "partAgeMs" | "flushMs" | "lookMs">;
  /** The clock of the cluster. */
  nowMs: () => number;
  /** The node's log, until `signal` is aborted. */
  open: (signal: AbortSignal) => NodeLog;
  /** Called with the number of new bytes, as they arrive. */
  onBytes: (bytes: number) => void;
}

/**
 * Moves the log of one running container from its node to stored parts. Between two parts only a position is remembered, not the
 * lines: the node still has them. If this process dies, another one continues after the last part.
 */
export class CollectedLog {
  readonly #options: CollectedLogOptions;
  /** The end of the last part. */
  #stored = new LogOverlap();
  #part = 0;
  /** How far the log was looked at. */
  #seen = new LogOverlap();
  #unstoredBytes = 0;
  #unstoredSinceMs: number | undefined;
  #isBegun = false;
  /** The log was read while it could not lack its beginning. */
  #hasStart = false;

  constructor(options: CollectedLogOptions) {
    this.#options = options;
  }

  /** Sees how much is new, and stores it if it is enough. */
  async look(signal: AbortSignal): Promise<void> {
    const { open, pace, nowMs, startedAt } = this.#options;
    await this.#begin();
    const position = this.#seen.copy();
    let isLacking = false;
    let isEmpty = true;
    for await (const batch of open(signal).lines({ sinceTime: position.resume(), mustExist: true })) {
      const { lines, mayLack } = position.pass(batch);
      isLacking ||= mayLack;
      isEmpty &&= lines.length === 0;
      this.#count(lines);
    }
    this.#seen = position;
    if (position.lastAt === ZERO_INSTANT) this.#hasStart = true;
    // The first part shows where the log begins, so that a later gap is noticed, by other processes too.
    const isFirst = this.#part === 0 && (!isEmpty || nowMs() - Date.parse(startedAt) >= pace.lookMs);
    const isOld = this.#unstoredSinceMs !== undefined && nowMs() - this.#unstoredSinceMs >= pace.partAgeMs;
    if (isFirst || isLacking || isOld || this.#unstoredBytes >= pace.partBytes) await this.#store(signal, false);
  }

  /** Stores lines as they are written, until `signal` is aborted or the stream ends. */
  async follow(signal: AbortSignal): Promise<void> {
    await this.#begin();
    await this.#store(signal, true);
  }

  async #begin(): Promise<void> {
    if (this.#isBegun) return;
    const { parts, run, stream } = this.#options;
    const last = await parts.last(run, stream);
    if (last) {
      this.#part = last.number;
      this.#stored = LogOverlap.parse(last.position);
    }
    this.#seen = this.#stored.copy();
    this.#forgetUnstored();
    this.#isBegun = true;
  }

  #count(lines: readonly LogLine[]): void {
    const bytes = lines.reduce((sum, line) => sum + INSTANT_BYTES + line.bytes.length, 0);
    if (bytes === 0) return;
    this.#unstoredBytes += bytes;
    this.#unstoredSinceMs ??= this.#options.nowMs();
    this.#options.onBytes(bytes);
  }

  #forgetUnstored(): void {
    this.#unstoredBytes = 0;
    this.#unstoredSinceMs = undefined;
  }

  async #store(signal: AbortSignal, follow: boolean): Promise<void> {
    const { open, parts, pace } = this.#options;
    const failing = new AbortController();
    const either = AbortSignal.any([signal, failing.signal]);
    const position = this.#stored.copy();
    const next: { lines: CollectedLines } = { lines: parts.collect() };
    const inTurn = turns(1);
    const flush = (): Promise<void> => {
      const { lines } = next;
      const end = position.copy();
      next.lines = parts.collect();
      return inTurn(async () => {
        // A part before this one was not stored.
        if (failing.signal.aborted) return;
        await this.#add(end, lines);
      });
    };
    const flushing = follow ? setInterval(() => void flushIfAny(), pace.flushMs) : undefined;
    const flushIfAny = async (): Promise<void> => {
      if (next.lines.sizeBytes > 0) await flush().catch((err: unknown) => failing.abort(err));
    };
    try {
      for await (const batch of open(either).lines({ follow, sinceTime: position.resume(), mustExist: true })) {
        const lastAt = position.lastAt;
        const { lines, mayLack } = position.pass(batch);
        if (mayLack) next.lines.add([lostMark(lastAt)]);
        if (this.#part === 0 && next.lines.sizeBytes === 0) next.lines.add(this.#marksBefore(lines));
        next.lines.add(lines);
        if (follow) this.#count(lines);
        if (next.lines.sizeBytes >= pace.partBytes) await flush();
      }
      if (this.#part === 0 && next.lines.sizeBytes === 0) await flush();
    } catch (err) {
      if (!signal.aborted || failing.signal.aborted) throw failing.signal.aborted ? failing.signal.reason : err;
    } finally {
      clearInterval(flushing);
      if (!failing.signal.aborted && next.lines.sizeBytes > 0) await flush();
      await inTurn(async () => {});
    }
  }

  async #add(end: LogOverlap, lines: CollectedLines): Promise<void> {
    const { parts, run, stream } = this.#options;
    const number = this.#part + 1;
    const position = end.toText();
    if (!(await parts.add(run, stream, { number, position, latestAt: end.latestAt }, lines))) {
      // Another process was faster, or our own answer was lost: continue after what is there.
      this.#isBegun = false;
      throw new Error(`Part ${number} of the log '${stream}' of run '${run.id}' was stored by another process`);
    }
    this.#part = number;
    this.#stored = end;
    this.#seen = end.copy();
    this.#forgetUnstored();
  }

  #marksBefore(lines: readonly LogLine[]): LogLine[] {
    const { startedAt, nowMs } = this.#options;
    const firstAt = firstInstantOf(lines);
    if (firstAt === undefined || this.#hasStart) return [];
    return mayLackStart({ startedAt, readAtMs: nowMs(), firstAt }) ? [lateMark(firstAt)] : [];
  }
}
