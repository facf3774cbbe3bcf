import type { ComputeWatcher, LaunchClaims, ReplicaHearer } from "../../model/ports/compute.ts";
import { messageOf } from "../../model/errors.ts";
import type { ApiPumps } from "../../model/ports/pump-channel.ts";
import { textOf, type RunIdentity } from "../../model/run/identity.ts";
import {
  hasEnded,
  isSettled,
  later,
  type ContainerState,
  type PumpState,
  type ReplicaState,
} from "../../model/run/lifecycle.ts";
import { atMost } from "../../waiting/bounded.ts";
import { PumpWatch } from "../../waiting/pump-watch.ts";
import { doubling, retry } from "../../waiting/retry.ts";
import { turns } from "../../waiting/turns.ts";
import type { Kube } from "../client/kube.ts";
import { DISAPPEARED, GONE_AFTER_MS } from "../launch/replica.ts";
import type { LogCollector } from "../log/log-collector.ts";
import type { PodSettings } from "../spec/cluster-settings.ts";
import { jobSelectorOf, podNameOf, replicaCountIn, replicaInMeta, runInMeta } from "../spec/names.ts";
import { sightOf, wasCutOff } from "../spec/pod-state.ts";
import { judgePump } from "../spec/pump-state.ts";
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
  /**
   * How long after the end of an output a job that still runs has ended it by itself: nodes report the end of a container late.
   */
  heldMs: number;
}

export const WATCH_TIMES: WatchTimes = {
  relistMs: 60_000,
  silenceMs: 90_000,
  lostMs: 60_000,
  goneAfterMs: GONE_AFTER_MS,
  heldMs: 5000,
};

export interface KubeWatcherOptions {
  kube: Kube;
  claims: Pick<LaunchClaims, "find">;
  settings: PodSettings;
  pumps: ApiPumps;
  log: { warn(facts: object, message: string): void };
  times?: Partial<WatchTimes>;
  /** Collects the logs of the pods that are watched, while they are. */
  collector: LogCollector;
}

const PAUSES = doubling(200, 2000, 0.5);
const COLLECTOR_END_MS = 3_000;
/** After this, a pump is asked again that could not be asked. */
const ASK_AGAIN_MS = 1000;
/** Of a fault that lasts, at most one line in this time is logged for each replica. */
const WARN_AGAIN_MS = 60_000;

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
        watch.close();
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
  /** The pod as it was seen last. */
  pod: Pod | undefined;
  pump: PumpWatch | undefined;
  /** The next look because its pump could not be asked. */
  asking: NodeJS.Timeout | undefined;
  /** The next look because its pump waits for the word on its job. */
  held: NodeJS.Timeout | undefined;
  warnedAtMs: number;
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
      for (const replica of this.#replicas.values()) clearTimers(replica);
    }
  }

  close(): void {
    for (const { pump } of this.#replicas.values()) pump?.close();
  }

  /** @returns the version of the list, from which a watch continues */
  async #relist(): Promise<string> {
    const { kube } = this.#options;
    const askedAtMs = performance.now();
    const { pods, resourceVersion } = await kube.listPods(this.#selector);
    // After the pods: one whose Secret is missing then has had it taken away.
    const secrets = await kube.listSecrets(this.#selector);
    await this.#inTurn(async () => {
      const found = new Set<string>();
      for (const pod of pods) {
        const replica = replicaOf(pod.metadata);
        if (replica) found.add(keyOf(replica));
        await this.#see(pod, true, askedAtMs);
      }
      const expected = [...this.#replicas.values(), ...secrets.flatMap(replicasOf)];
      const missing = new Map(expected.map((replica) => [keyOf(replica), replica]));
      for (const [key, replica] of missing) if (!found.has(key)) await this.#lookGone(replica);
    });
    return resourceVersion;
  }

  /** `askedAtMs`: the pod is as it was at this instant, or later. */
  async #see(pod: Pod, again = false, askedAtMs?: number): Promise<void> {
    const named = replicaOf(pod.metadata);
    if (!named) return;
    const { kube, settings } = this.#options;
    const replica = this.#replicaOf(named);
    const { resourceVersion } = pod.metadata ?? {};
    if (isOutdated(replica.resourceVersion, resourceVersion)) return;
    replica.resourceVersion = resourceVersion;
    replica.pod = pod;
    replica.missingAtMs = undefined;
    this.#options.collector.see(pod);
    const nowMs = kube.clock.nowMs();
    const earlier = replica.state.container.message;
    const { container, pump, changesAtMs } = sightOf(pod, { nowMs, patience: settings.patience, earlier });
    this.#plan(replica, changesAtMs === undefined ? undefined : changesAtMs - nowMs, () => this.#see(pod));
    // The deletion of a pod on a lost node gives the node another grace, which changes nothing about its end.
    const isBack = hasEnded(replica.state.container) && !hasEnded(container);
    const seen = isBack ? replica.state.container : container;
    if (pump === undefined) return this.#update(replica, { container: seen }, again);
    const judged = await this.#judgePump(replica, pump);
    if (judged) this.#tellPump(replica, pod, seen, askedAtMs);
    await this.#update(replica, { container: seen, pump: judged ?? replica.state.pump ?? { phase: "Running" } }, again);
  }

  /** The pump of a replica; undefined when nothing can be known about it for the moment. Others are not held up by that. */
  async #judgePump(replica: Replica, inPod: PumpState): Promise<PumpState | undefined> {
    const { pumps, log } = this.#options;
    const { run, index } = replica;
    const look = (): void => void this.#inTurn(() => this.#seeAgain(replica)).catch(this.#fail);
    replica.pump ??= new PumpWatch(pumps.channelTo({ run, replica: index }), look, () => this.#lookLater(replica));
    try {
      return judgePump(inPod, await replica.pump.look());
    } catch (err) {
      if (performance.now() - replica.warnedAtMs > WARN_AGAIN_MS) {
        replica.warnedAtMs = performance.now();
        log.warn({ runId: run.id, replica: index, reason: messageOf(err) }, "a pump could not be asked, trying again");
      }
      clearTimeout(replica.asking);
      replica.asking = setTimeout(look, ASK_AGAIN_MS);
      return undefined;
    }
  }

  #tellPump(replica: Replica, pod: Pod, container: ContainerState, askedAtMs: number | undefined): void {
    const { pump } = replica;
    if (container.phase === "Exited") pump?.send({ command: "jobEnded", cutOff: wasCutOff(pod, container) });
    // How it would have ended is unknown, so its outputs do not count.
    else if (container.phase === "Gone") pump?.send({ command: "stop" });
    else if (container.phase === "Running" && askedAtMs !== undefined && !pod.metadata?.deletionTimestamp) {
      if (pump?.jobRunsOn(askedAtMs, this.#options.times.heldMs)) this.#lookLater(replica);
    }
  }

  /** A replica that was forgotten before this look's turn stays forgotten. */
  async #seeAgain(replica: Replica): Promise<void> {
    if (replica.pod && this.#replicas.get(keyOf(replica)) === replica) await this.#see(replica.pod);
  }

  /** Reads the pod from the cluster: what a watch has told can be from before the end of an output. */
  async #lookFresh(replica: Replica): Promise<void> {
    const { run, index, pod } = replica;
    if (this.#replicas.get(keyOf(replica)) !== replica) return;
    const askedAtMs = performance.now();
    const now = await this.#options.kube.findPod(podNameOf(run.id, index));
    if (now && now.metadata?.uid === pod?.metadata?.uid) await this.#see(now, false, askedAtMs);
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
    if (isSettled(replica.state)) return this.#update(replica, replica.state, true);
    const pod = await kube.findPod(podNameOf(named.run.id, named.index));
    if (pod?.metadata?.uid === uid) return this.#see(pod);
    replica.missingAtMs ??= performance.now();
    const untilSureMs = replica.missingAtMs + times.goneAfterMs - performance.now();
    if (untilSureMs > 0) return this.#plan(replica, untilSureMs, () => this.#lookGone(named));
    await this.#update(replica, later(replica.state, await this.#disappeared(named)), true);
  }

  async #disappeared({ run, index }: ReplicaKey): Promise<ReplicaState> {
    const pump = { run, replica: index };
    const { pumps } = this.#options;
    if (!(await pumps.has(pump))) return { container: DISAPPEARED };
    const channel = pumps.channelTo(pump);
    return {
      container: DISAPPEARED,
      pump: judgePump({ phase: "Dead" }, await channel.command({ command: "stop" }, 0)),
    };
  }

  #forget(named: ReplicaKey): void {
    const replica = this.#replicas.get(keyOf(named));
    if (!replica) return;
    clearTimers(replica);
    replica.pump?.close();
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
      pod: undefined,
      pump: undefined,
      asking: undefined,
      held: undefined,
      warnedAtMs: -WARN_AGAIN_MS,
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

  /** Plans a fresh look at a pod whose pump waits for the word on its job. A timer can be early: the look then plans another one. */
  #lookLater(replica: Replica): void {
    replica.held ??= setTimeout(() => {
      replica.held = undefined;
      this.#inTurn(() => this.#lookFresh(replica)).catch(this.#fail);
    }, this.#options.times.heldMs + 10);
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

function clearTimers(replica: Replica): void {
  for (const name of ["planned", "asking", "held"] as const) {
    clearTimeout(replica[name]);
    replica[name] = undefined;
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
