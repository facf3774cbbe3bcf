import { textOf, type RunIdentity } from "../model/run/identity.ts";
import { doubling } from "../waiting/retry.ts";

/** So many exits at once that a thousand of them take a moment, and few enough for a Temporal that is slow. */
const AT_ONCE = 16;
/** Far less than the time after which the reconciler reports the state as well. */
const PAUSES = doubling(1000, 8000);

export interface DeliveryPorts<M> {
  send(run: RunIdentity, message: M): Promise<void>;
  /** Gets the first failure of each message that is not delivered at once. */
  failed(run: RunIdentity, err: unknown): void;
}

interface Undelivered<M> {
  run: RunIdentity;
  /** Newer messages replace older ones. */
  message: M;
  failures: number;
}

/**
 * Sends each run's newest message to its workflow until it has arrived. One call per run and a bounded number in all are in
 * flight, however long Temporal is away.
 */
export class Deliveries<M> {
  readonly #ports: DeliveryPorts<M>;
  readonly #undelivered = new Map<string, Undelivered<M>>();
  /** Neither in flight nor in the pause after a failure. */
  readonly #ready = new Set<string>();
  readonly #pauses = new Set<NodeJS.Timeout>();
  #inFlight = 0;
  #isClosed = false;

  constructor(ports: DeliveryPorts<M>) {
    this.#ports = ports;
  }

  /** Returns at once, and never fails. */
  offer(run: RunIdentity, message: M): void {
    const key = textOf(run);
    const known = this.#undelivered.get(key);
    if (known) {
      known.message = message;
      return;
    }
    this.#undelivered.set(key, { run, message, failures: 0 });
    this.#makeReady(key);
  }

  /** Sends nothing more: the next watcher begins with a list of everything. */
  close(): void {
    this.#isClosed = true;
    for (const pause of this.#pauses) clearTimeout(pause);
  }

  #makeReady(key: string): void {
    this.#ready.add(key);
    this.#begin();
  }

  #begin(): void {
    for (const key of this.#ready) {
      if (this.#isClosed || this.#inFlight >= AT_ONCE) return;
      this.#ready.delete(key);
      const undelivered = this.#undelivered.get(key);
      if (undelivered) void this.#deliver(key, undelivered);
    }
  }

  async #deliver(key: string, undelivered: Undelivered<M>): Promise<void> {
    const { run, message } = undelivered;
    this.#inFlight += 1;
    try {
      await this.#ports.send(run, message);
      // A newer state can have arrived while this one was being sent.
      if (undelivered.message === message) this.#undelivered.delete(key);
      else this.#ready.add(key);
    } catch (err) {
      undelivered.failures += 1;
      if (undelivered.failures === 1) this.#ports.failed(run, err);
      this.#pause(key, PAUSES(undelivered.failures, err) ?? 0);
    } finally {
      this.#inFlight -= 1;
      this.#begin();
    }
  }

  #pause(key: string, ms: number): void {
    const pause = setTimeout(() => {
      this.#pauses.delete(pause);
      this.#makeReady(key);
    }, ms);
    this.#pauses.add(pause);
  }
}
