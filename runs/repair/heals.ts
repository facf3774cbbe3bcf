import { messageOf } from "../../model/errors.ts";
import { textOf, type RunIdentity } from "../../model/run/identity.ts";
import type { Pauses } from "../../waiting/retry.ts";
import type { RepairLog } from "./ports.ts";

export interface HealsOptions {
  /** Logged with each failure. */
  failed: string;
  atOnce: number;
  /** A heal that takes longer no longer counts as one of those at once. It is not stopped. */
  limitMs: number;
  /** How long a run is left alone after heals that failed. */
  pauses: Pauses;
  log: RepairLog;
  nowMs?: (() => number) | undefined;
}

/** A fault of one run, or of the whole cluster. */
export interface Fault {
  run?: RunIdentity;
  fault: string;
}

/** `failingForMs` is the time since the first failure in a row; 0 without any. */
type Heal = (failingForMs: number) => Promise<void>;

interface Failures {
  count: number;
  sinceMs: number;
  pauseEndMs: number;
}

/**
 * Heals in parallel, with a bound and in turn. Offering a heal never waits and never fails. A run gets no second heal while its
 * first has not settled, however long that takes; one for another fault of it is kept until then.
 */
export class Heals {
  readonly #options: HealsOptions;
  readonly #nowMs: () => number;
  readonly #waiting = new Map<string, { fault: Fault; heal: Heal }>();
  readonly #underWay = new Map<string, { fault: string; settled: Promise<void> }>();
  /** By run and fault: while one fault of a run cannot be repaired, another one can. */
  readonly #failures = new Map<string, Failures>();
  #taken = 0;

  constructor(options: HealsOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  offer(fault: Fault, heal: Heal): void {
    const key = patientOf(fault);
    if (this.#waiting.has(key) || this.#underWay.get(key)?.fault === fault.fault || this.#isPaused(fault)) return;
    this.#waiting.set(key, { fault, heal });
    this.#begin();
  }

  /** Whether a heal of the run is under way, or one of this fault waits: for its turn, or after a failure. */
  isPending(fault: Fault): boolean {
    const key = patientOf(fault);
    return this.#isPaused(fault) || this.#waiting.has(key) || this.#underWay.has(key);
  }

  /** Drops the heals that have not begun. */
  clear(): void {
    this.#waiting.clear();
  }

  /** Waits for all heals that were offered. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all([...this.#underWay.values()].map(({ settled }) => settled));
  }

  #begin(): void {
    for (const [key, { fault, heal }] of this.#waiting) {
      if (this.#taken >= this.#options.atOnce) return;
      if (this.#underWay.has(key)) continue;
      this.#waiting.delete(key);
      this.#taken += 1;
      this.#underWay.set(key, { fault: fault.fault, settled: this.#heal(key, fault, heal) });
    }
  }

  #isPaused(fault: Fault): boolean {
    return this.#nowMs() < (this.#failures.get(failureKeyOf(fault))?.pauseEndMs ?? 0);
  }

  async #heal(key: string, fault: Fault, heal: Heal): Promise<void> {
    const { failed, limitMs, log } = this.#options;
    const facts = { ...(fault.run && { runId: fault.run.id }), fault: fault.fault };
    let hasPlace = true;
    const leave = (): void => {
      if (!hasPlace) return;
      hasPlace = false;
      this.#taken -= 1;
      this.#begin();
    };
    const timer = setTimeout(() => {
      log.warn(facts, "a repair takes long, others continue without it");
      leave();
    }, limitMs);
    const failureKey = failureKeyOf(fault);
    const before = this.#failures.get(failureKey);
    try {
      await heal(before === undefined ? 0 : this.#nowMs() - before.sinceMs);
      this.#failures.delete(failureKey);
    } catch (err) {
      log.warn({ ...facts, reason: messageOf(err) }, failed);
      this.#recordFailure(failureKey, before, err);
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(key);
      leave();
      // It can have kept another one of its run waiting, also after it left.
      this.#begin();
    }
  }

  #recordFailure(key: string, before: Failures | undefined, err: unknown): void {
    const nowMs = this.#nowMs();
    const count = (before?.count ?? 0) + 1;
    const pauseEndMs = nowMs + (this.#options.pauses(count, err) ?? 0);
    this.#failures.set(key, { count, sinceMs: before?.sinceMs ?? nowMs, pauseEndMs });
    // A fault that was not offered again for an hour is gone.
    for (const [old, failures] of this.#failures) {
      if (nowMs - failures.pauseEndMs > FORGET_MS) this.#failures.delete(old);
    }
  }
}

const FORGET_MS = 3_600_000;

/** A run, or a part of the cluster. */
const patientOf = ({ run, fault }: Fault): string => (run === undefined ? fault : textOf(run));

const failureKeyOf = (fault: Fault): string => `${patientOf(fault)} ${fault.fault}`;
