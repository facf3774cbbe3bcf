import type { ComputeWatcher, LaunchClaims, ReplicaHearer } from "../../model/ports/compute.ts";
import { textOf, type RunIdentity } from "../../model/run/identity.ts";
import { hasEnded, type ReplicaState } from "../../model/run/lifecycle.ts";
import { atMost } from "../../waiting/bounded.ts";
import { doubling, retry } from "../../waiting/retry.ts";
import { turns } from "../../waiting/turns.ts";
import type { Kube } from "../client/kube.ts";
import { disappeared, GONE_AFTER_MS } from "../launch/replica.ts";
import type { LogCollector } from "../log/log-collector.ts";
import type { PodSettings } from "../spec/cluster-settings.ts";
import { jobSelectorOf, podNameOf, replicaCountIn, replicaInMeta, runInMeta } from "../spec/names.ts";
import { sightOf } from "../spec/pod-state.ts";
import type { ObjectMeta, Pod } from "../spec/wire.ts";
import { podChanges } from "./pod-stream.ts";
import { isOutdated } from "./watch-events.ts";

/** How the watch of a cluster is kept true. */
export interface WatchTimes {
  /** Everything is listed this often, whatever the watch says. */
  relistMs: number;
  silenceMs: number;
  /** When the cluster is away for longer, the watch fails, and its caller starts it again. */
  lostMs: number;
  /** Between the two looks after which a pod is gone. */
  goneAfterMs: number;
}

export const WATCH_TIMES: WatchTimes = {
  relistMs: 60_000,
  silenceMs: 90_000,
  lostMs: 60_000,
  goneAfterMs: GONE_AFTER_MS,
};

export interface KubeWatcherOptions {
  kube: Kube;
  claims: Pick<LaunchClaims, "find">;
  settings: PodSettings;
  times?: Partial<WatchTimes>;
  /** Collects the logs of the pods that are watched, while they are. */
  collector: LogCollector;
}

const PAUSES = doubling(200, 2000, 0.5);
const COLLECTOR_END_MS = 3_000;

/** Watches the pods of all runs of an installation in one namespace, with one list and one stream of changes. */
export function createKubeWatcher(options: KubeWatcherOptions): ComputeWatcher {
  const times = { ...WATCH_TIMES, ...options.times };
  return {
    startsLater: true,
    async watch(report, signal) {
      if (signal.aborted) return;
      const watch = new Watch({ ...options, times }, report);
      const ending = new AbortController();
      const collecting = options.collector.run(AbortSignal.any([signal, ending.signal]));
      try {
        await retry((_attempt, recovered) => watch.round(signal, recovered), {
          pauses: PAUSES,
          outageMs: times.lostMs,
          signal,
        });
      } catch (err) {
        if (!signal.aborted) throw err;
      } finally {
        ending.abort();
        // The next one reads again all that it was about to store.
        await atMost(COLLECTOR_END_MS, collecting);
      }
    },
  };
}

/** A replica that has, or should have, a pod. */
interface Replica {
  run: RunIdentity;
  index: number;
  count: number;
  state: ReplicaState;
  resourceVersion: string | undefined;
  /** The state that was reported last, as text. */
  reported: string;
  /** When the cluster first answered that it has no such pod, if it did. */
  missingAtMs: number | undefined;
  /** The next look at it that needs no change of its pod. */
  planned: NodeJS.Timeout | undefined;
}

type ReplicaKey = Pick<Replica, "run" | "index" | "count">;

const keyOf = ({ run, index }: Pick<Replica, "run" | "index">): string => `${textOf(run)}/${index}`;

/** The replicas of an installation, as one watcher knows them. */
class Watch {
  readonly #options: KubeWatcherOptions & { times: WatchTimes };
  readonly #report: ReplicaHearer;
  readonly #selector: string;
  readonly #replicas = new Map<string, Replica>();
  /** One look at a time: what is seen is reported in its order. */
  readonly #inTurn = turns(1);
  /** Fails this round. */
  #fail: (err: unknown) => void = () => {};

  constructor(options: KubeWatcherOptions & { times: WatchTimes }, report: ReplicaHearer) {
    this.#options = options;
    this.#report = report;
    this.#selector = jobSelectorOf(options.settings.installationId);
  }

  /** Lists everything, then follows the changes. @throws always: when the changes break off, or something else fails */
  async round(signal: AbortSignal, onListed: () => void): Promise<never> {
    const { kube, times } = this.#options;
    const failing = new AbortController();
    const either = AbortSignal.any([signal, failing.signal]);
    this.#fail = (err) => failing.abort(err);
    let relisting: NodeJS.Timeout | undefined;
    try {
      const listedVersion = await this.#relist();
      onListed();
      const relist = (): void => {
        this.#relist().then(() => {
          if (!either.aborted) relisting = setTimeout(relist, times.relistMs);
        }, this.#fail);
      };
      relisting = setTimeout(relist, times.relistMs);
      const changes = podChanges({ kube, selector: this.#selector, silenceMs: times.silenceMs }, listedVersion, either);
      for await (const event of changes) {
        if (event.type === "bookmark") continue;
        await this.#inTurn(() => (event.type === "deleted" ? this.#seeDeleted(event.pod) : this.#see(event.pod)));
      }
      throw either.reason;
    } catch (err) {
      throw failing.signal.aborted ? failing.signal.reason : err;
    } finally {
      clearTimeout(relisting);
      for (const { planned } of this.#replicas.values()) clearTimeout(planned);
    }
  }

  /** @returns the version of the list, from which a watch continues */
  async #relist(): Promise<string> {
    const { kube } = this.#options;
    const { pods, resourceVersion } = await kube.listPods(this.#selector);
    // After the pods: one whose Secret is missing then has had it taken away.
    const secrets = await kube.listSecrets(this.#selector);
    await this.#inTurn(async () => {
      const found = new Set<string>();
      for (const pod of pods) {
        const replica = replicaOf(pod.metadata);
        if (replica) found.add(keyOf(replica));
        await this.#see(pod, true);
      }
      const expected = [...this.#replicas.values(), ...secrets.flatMap(replicasOf)];
      const missing = new Map(expected.map((replica) => [keyOf(replica), replica]));
      for (const [key, replica] of missing) if (!found.has(key)) await this.#lookGone(replica);
    });
    return resourceVersion;
  }

  async #see(pod: Pod, again = false): Promise<void> {
    const named = replicaOf(pod.metadata);
    if (!named) return;
    const { kube, settings } = this.#options;
    const replica = this.#replicaOf(named);
    const { resourceVersion } = pod.metadata ?? {};
    if (isOutdated(replica.resourceVersion, resourceVersion)) return;
    replica.resourceVersion = resourceVersion;
    replica.missingAtMs = undefined;
    this.#options.collector.see(pod);
    const nowMs = kube.clock.nowMs();
    const earlier = replica.state.container.message;
    const { container, changesAtMs } = sightOf(pod, { nowMs, patience: settings.patience, earlier });
    // The deletion of a pod on a lost node gives the node another grace, which changes nothing about its end.
    if (hasEnded(replica.state.container) && !hasEnded(container)) {
      this.#plan(replica, undefined);
      return this.#update(replica, replica.state, again);
    }
    this.#plan(replica, changesAtMs === undefined ? undefined : changesAtMs - nowMs, () => this.#see(pod));
    await this.#update(replica, { container }, again);
  }

  /** Our finalizer keeps pods until their exit is recorded; without it, the last state is all that there is. */
  async #seeDeleted(pod: Pod): Promise<void> {
    await this.#see(pod);
    this.#options.collector.drop(pod);
    const named = replicaOf(pod.metadata);
    if (named) await this.#lookGone(named);
  }

  /**
   * Looks at a replica whose pod was not found: launched and lost, or not launched, or cleaned up. It is gone when the cluster
   * has not found it twice.
   */
  async #lookGone(named: ReplicaKey): Promise<void> {
    const { kube, claims, times } = this.#options;
    const claim = await claims.find(named.run, named.index);
    const uid = claim?.containerId;
    if (!claim || claim.state === "removed" || uid === undefined) return this.#forget(named);
    const replica = this.#replicaOf(named);
    if (hasEnded(replica.state.container)) return this.#update(replica, replica.state, true);
    const pod = await kube.findPod(podNameOf(named.run.id, named.index));
    if (pod?.metadata?.uid === uid) return this.#see(pod);
    replica.missingAtMs ??= performance.now();
    const untilSureMs = replica.missingAtMs + times.goneAfterMs - performance.now();
    if (untilSureMs > 0) return this.#plan(replica, untilSureMs, () => this.#lookGone(named));
    await this.#update(replica, disappeared(), true);
  }

  #forget(named: ReplicaKey): void {
    clearTimeout(this.#replicas.get(keyOf(named))?.planned);
    this.#replicas.delete(keyOf(named));
  }

  #replicaOf({ run, index, count }: ReplicaKey): Replica {
    const key = keyOf({ run, index });
    const known = this.#replicas.get(key);
    if (known) return known;
    const replica: Replica = {
      run,
      index,
      count,
      state: { container: { phase: "Unknown" } },
      resourceVersion: undefined,
      reported: "",
      missingAtMs: undefined,
      planned: undefined,
    };
    this.#replicas.set(key, replica);
    return replica;
  }

  /** Plans the one next look at a replica, or none. A timer can be early: the look then plans another one. */
  #plan(replica: Replica, ms: number | undefined, look?: () => Promise<void>): void {
    clearTimeout(replica.planned);
    if (ms === undefined || !look) return;
    const lookInTurn = (): void => void this.#inTurn(look).catch(this.#fail);
    replica.planned = setTimeout(lookInTurn, Math.max(0, Math.min(ms, 2 ** 31 - 1)) + 10);
  }

  async #update(replica: Replica, state: ReplicaState, again: boolean): Promise<void> {
    replica.state = state;
    const text = JSON.stringify(state);
    if (text === replica.reported && !again) return;
    replica.reported = text;
    const { run, index, count } = replica;
    try {
      await this.#report(run, { index, count, state });
    } catch (err) {
      replica.reported = "";
      throw err;
    }
  }
}

function replicaOf(meta: ObjectMeta | undefined): ReplicaKey | undefined {
  const run = meta && runInMeta(meta);
  const replica = meta && replicaInMeta(meta);
  return run && replica && { run, ...replica };
}

/** The replicas of the run of a Secret. */
function replicasOf(meta: ObjectMeta): ReplicaKey[] {
  const run = runInMeta(meta);
  const count = replicaCountIn(meta);
  return run ? Array.from({ length: count }, (_, index) => ({ run, index, count })) : [];
}
