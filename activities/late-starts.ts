import type { SeenReplica } from "../model/ports/compute.ts";
import { textOf, type RunIdentity } from "../model/run/identity.ts";
import { hasEnded, type ReplicaState } from "../model/run/lifecycle.ts";
import { unseen, withChanges, type ReplicaChange, type ReplicaStates } from "../model/run/replicas.ts";
import { firstStartOf, waitingOf } from "../model/run/waiting.ts";

/** The words of a scheduler can change all the time: each change costs a write and a message. */
const TELL_AGAIN_MS = 10_000;
/** Each run that lives is seen again within a minute. */
const FORGET_MS = 300_000;
/** In this time after its own start, a watcher does not know which reasons the one before it has told. */
const INHERITED_MS = 30_000;

/** A container of the run has begun, or the reason for which none has is another one. */
export interface StartNews {
  changes: ReplicaChange[];
  /** When the first one began. */
  startedAt?: string;
  /** Why none has begun; absent with a start, and when nothing unusual keeps them any more. */
  reason?: string;
}

/** The reason is another one, and was reported too recently. */
export interface Postponed {
  /** When {@link LateStarts.look} has the news, unless something happens before. */
  inMs: number;
}

interface Known {
  states: ReplicaStates;
  hasStarted: boolean;
  reason: string | undefined;
  toldAtMs: number;
  seenAtMs: number;
  isPostponed: boolean;
}

/**
 * Finds news about the start of containers in the reports of a watcher, for engines on which containers begin some time after
 * their launch. A start is reported once.
 */
export class LateStarts {
  readonly #runs = new Map<string, Known>();
  readonly #sinceMs: number;
  #sweptAtMs = 0;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  see(run: RunIdentity, { index, count, state }: SeenReplica, nowMs: number): StartNews | Postponed | undefined {
    this.#sweep(nowMs);
    const key = textOf(run);
    // The end of a run says when it began.
    if (count === 1 && hasEnded(state.container)) {
      this.#runs.delete(key);
      return undefined;
    }
    const known = this.#runs.get(key) ?? this.#firstSight(count, nowMs);
    this.#runs.set(key, known);
    known.seenAtMs = nowMs;
    if (known.hasStarted) return undefined;
    known.states = withChanges(known.states, [[index, state]]);
    return newsOf(known, nowMs);
  }

  /** The news that were postponed. */
  look(run: RunIdentity, nowMs: number): StartNews | Postponed | undefined {
    const known = this.#runs.get(textOf(run));
    if (!known || known.hasStarted) return undefined;
    known.isPostponed = false;
    return newsOf(known, nowMs);
  }

  #firstSight(count: number, nowMs: number): Known {
    // No engine has this reason: it differs from none, so that a former one is replaced.
    const reason = nowMs - this.#sinceMs < INHERITED_MS ? "" : undefined;
    const states = unseen(count);
    return { states, hasStarted: false, reason, toldAtMs: -Infinity, seenAtMs: nowMs, isPostponed: false };
  }

  /** A run that was removed is not reported again. */
  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAtMs < FORGET_MS) return;
    this.#sweptAtMs = nowMs;
    for (const [key, { seenAtMs }] of this.#runs) if (nowMs - seenAtMs >= FORGET_MS) this.#runs.delete(key);
  }
}

function newsOf(known: Known, nowMs: number): StartNews | Postponed | undefined {
  const changes = changesSeen(known.states);
  const startedAt = firstStartOf(known.states);
  if (startedAt !== undefined) {
    known.hasStarted = true;
    known.states = [];
    return { changes, startedAt };
  }
  const waiting = waitingOf(known.states);
  if (!waiting || waiting.reason === known.reason) return undefined;
  const inMs = known.toldAtMs + TELL_AGAIN_MS - nowMs;
  if (inMs > 0) {
    if (known.isPostponed) return undefined;
    known.isPostponed = true;
    return { inMs };
  }
  known.reason = waiting.reason;
  // The first reason follows at once that there is none.
  if (waiting.reason !== undefined) known.toldAtMs = nowMs;
  return { changes, ...waiting };
}

const changesSeen = (states: readonly ReplicaState[]): ReplicaChange[] =>
  [...states.entries()].filter(([, { container }]) => container.phase !== "Unknown");
