import type { SeenReplica } from "../model/ports/compute.ts";
import { textOf, type RunIdentity } from "../model/run/identity.ts";
import type { ReplicaState } from "../model/run/lifecycle.ts";
import {
  areSettled,
  areStoring,
  countRunning,
  hasFailed,
  type ReplicaChange,
  type ReplicaStates,
} from "../model/run/replicas.ts";

/** The other replicas of a run that failed end, too: its workflow is not told of each. */
const TELL_AGAIN_MS = 30_000;
/** Each run that lives is seen again within a minute. */
const FORGET_MS = 300_000;

/** The state of a run, after what was just seen of one of its replicas. */
export interface Sighting {
  /** For its workflow: a replica has failed, or all have ended. */
  changes?: ReplicaChange[];
  /** All jobs have ended, and outputs are still stored. */
  storing?: ReplicaChange[];
  /** How many replicas run; only of a run with several. */
  runningCount?: number;
}

interface Seen {
  states: Map<number, ReplicaState>;
  seenAtMs: number;
  toldFailureAtMs: number;
}

/**
 * Makes one message for a run out of the reports about its replicas. Most runs have one replica, and nothing is kept of them. A
 * run with a thousand gets two messages: that one has failed, and that all have ended.
 */
export class RunSightings {
  readonly #runs = new Map<string, Seen>();
  #sweptAtMs = 0;

  see(run: RunIdentity, { index, count, state }: SeenReplica, nowMs: number): Sighting {
    if (count === 1) return sightingOf([state], hasFailed(state));
    this.#sweep(nowMs);
    const key = textOf(run);
    const seen = this.#runs.get(key) ?? { states: new Map(), seenAtMs: nowMs, toldFailureAtMs: -Infinity };
    this.#runs.set(key, seen);
    seen.states.set(index, state);
    seen.seenAtMs = nowMs;
    const runningCount = countRunning([...seen.states.values()]);
    if (seen.states.size === count) {
      const states = [...seen.states.entries()].toSorted(([a], [b]) => a - b).map(([, one]) => one);
      // Told once, until all are seen again.
      if (areSettled(states)) this.#runs.delete(key);
      const sighting = sightingOf(states, false);
      if (sighting.changes || sighting.storing) return { ...sighting, runningCount };
    }
    if (!hasFailed(state) || nowMs - seen.toldFailureAtMs < TELL_AGAIN_MS) return { runningCount };
    seen.toldFailureAtMs = nowMs;
    return { changes: [...seen.states.entries()].filter(([, one]) => hasFailed(one)), runningCount };
  }

  /** How many replicas run, of a run with several that is known. */
  runningCountOf(run: RunIdentity): number | undefined {
    const states = this.#runs.get(textOf(run))?.states;
    return states && countRunning([...states.values()]);
  }

  /** A run that was removed is not reported again. */
  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAtMs < FORGET_MS) return;
    this.#sweptAtMs = nowMs;
    for (const [key, { seenAtMs }] of this.#runs) if (nowMs - seenAtMs >= FORGET_MS) this.#runs.delete(key);
  }
}

function sightingOf(states: ReplicaStates, isDecided: boolean): Sighting {
  const all = states.map((state, index): ReplicaChange => [index, state]);
  if (isDecided || areSettled(states)) return { changes: all };
  return areStoring(states) ? { storing: all } : {};
}
