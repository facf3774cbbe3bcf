import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { messageOf } from "../model/errors.ts";
import type { Leases } from "../model/ports/database.ts";
import { atMost } from "../waiting/bounded.ts";

/** The longest delay that a crashed holder causes; long enough for renewals that fail twice. */
const LIFE_MS = 20_000;
const RENEW_EVERY_MS = 4_000;
const RELEASE_MS = 2_000;

export interface HeldLease {
  /** False from the moment at which another holder can have the lease; to be asked before each act. */
  isHeld(): boolean;
  /** Gives the lease to the next one that asks. */
  release(): Promise<void>;
}

interface LeaseLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
}

/** Two clocks: one that cannot be set, and one that also runs while the machine is suspended. */
const readClocks = () => ({ steadyMs: performance.now(), wallMs: Date.now() });

/**
 * Takes the lease whenever it is free, and renews it by a timer of its own, however long the holder's work takes. Resolves after
 * the first try, whatever came of it.
 */
export async function holdLease(leases: Leases, name: string, log: LeaseLog): Promise<HeldLease> {
  const holder = `${hostname()} ${process.pid} ${randomUUID()}`;
  let isReleased = false;
  let takenAt: ReturnType<typeof readClocks> | undefined;

  const isHeld = (): boolean => {
    if (isReleased || takenAt === undefined) return false;
    const now = readClocks();
    return Math.max(now.steadyMs - takenAt.steadyMs, now.wallMs - takenAt.wallMs) < LIFE_MS;
  };
  const renew = async (): Promise<void> => {
    const hadIt = isHeld();
    // From before the question: the database counts from when it answers, so that ours runs out first.
    const askedAt = readClocks();
    try {
      takenAt = (await leases.take(name, holder, LIFE_MS)) ? askedAt : undefined;
    } catch (err) {
      log.warn({ lease: name, reason: messageOf(err) }, "could not renew the lease, trying again");
    }
    if (isHeld() !== hadIt) log.info({ lease: name }, hadIt ? "lost the lease" : "took the lease");
  };
  let renewing: Promise<void> | undefined;
  const renewInTurn = (): void => {
    renewing ??= renew().finally(() => {
      renewing = undefined;
    });
  };
  const timer = setInterval(renewInTurn, RENEW_EVERY_MS);
  renewInTurn();
  await renewing;

  return {
    isHeld,
    async release() {
      isReleased = true;
      clearInterval(timer);
      await renewing;
      await atMost(
        RELEASE_MS,
        leases.release(name, holder).catch(() => undefined),
      );
    },
  };
}
