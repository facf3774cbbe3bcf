import type { ComputeWatcher, LaunchClaims, ReplicaHearer } from "../model/ports/compute.ts";
import { CodedError, messageOf } from "../model/errors.ts";
import { eachOf } from "../waiting/bounded.ts";
import { every, retry } from "../waiting/retry.ts";
import { hasEnded, type PumpState, type ReplicaState } from "../model/run/lifecycle.ts";
import { textOf, type RunIdentity } from "../model/run/identity.ts";
import { LABEL_INSTALLATION, replicaInLabels } from "../model/run/names.ts";
import { attemptFolderOf, runsWithFolders } from "./launch/attempt-folder.ts";
import { LABEL_ATTEMPT, LABEL_CONTAINER_NAME } from "./launch/container-spec.ts";
import { containerStateOf, runInLabels, wasCutOff } from "./launch/container-state.ts";
import { GONE_AFTER_MS } from "./launch/gone.ts";
import { connectEngine, type ContainerInfo, type Engine } from "./engine/engine.ts";
import { readEvents } from "./engine/events.ts";
import { hasPumpSpec } from "./pump/pump-folder.ts";
import { JobEvents } from "./pump/job-events.ts";
import { localPump } from "./pump/pump-link.ts";
import { HELD_MS, PumpWatch } from "../waiting/pump-watch.ts";

export interface DockerWatcherOptions {
  installationId: string;
  claims: LaunchClaims;
  /** Has a folder for each run. */
  runsDir: string;
  dockerHost?: string | undefined;
  log: { warn(facts: object, message: string): void };
}

const RELIST_MS = 60_000;
/** Inspections at a time: a relist must not delay events that happen meanwhile. */
const LOOKS_AT_ONCE = 8;
const AGAIN_MS = 200;
/** After this, a replica is looked at again whose pump could not be asked, or waits for the word on its job. A timer can be early. */
const LOOK_AGAIN_MS = HELD_MS + 10;
/** Of a fault that lasts, at most one line in this time is logged for each replica. */
const WARN_AGAIN_MS = 60_000;
/** When the engine is away for longer, the watch fails, and its caller starts it again. */
const LOST_MS = 60_000;

/** Watches all containers of an installation over one stream of events, and their pumps over one connection each. */
export function createDockerWatcher(options: DockerWatcherOptions): ComputeWatcher {
  const engine = connectEngine(options.dockerHost);
  return {
    async watch(report, signal) {
      if (signal.aborted) return;
      const watch = new Watch(engine, options, report);
      try {
        await retry((_attempt, recovered) => watch.once(signal, recovered), {
          pauses: every(AGAIN_MS),
          outageMs: LOST_MS,
          signal,
        });
      } catch (err) {
        if (!signal.aborted) throw err;
      } finally {
        watch.close();
      }
    },
  };
}

/** Which replica of which run. */
interface ReplicaId {
  run: RunIdentity;
  index: number;
}

const keyOf = ({ run, index }: ReplicaId): string => `${textOf(run)} ${index}`;

interface Replica extends ReplicaId {
  /** Of its run. Unknown, and too low, of one whose container was gone before it was seen. */
  count: number;
  state: ReplicaState;
  /** The state that was reported last, as text. */
  reported: string;
  pump: PumpWatch | undefined;
  warnedAtMs: number;
  /** When the engine first answered that it has no such container, if it did. */
  missingAtMs: number | undefined;
}

/** The replicas of an installation, as one watcher knows them. */
class Watch {
  readonly #engine: Engine;
  readonly #options: DockerWatcherOptions;
  readonly #report: ReplicaHearer;
  readonly #replicas = new Map<string, Replica>();
  /** The actions for one replica happen in order. */
  readonly #turns = new Map<string, Promise<void>>();
  /** The next look at a replica that needs another one. */
  readonly #planned = new Map<string, NodeJS.Timeout>();
  /** Fails this round. */
  #fail: (err: unknown) => void = () => {};
  #events = new JobEvents();

  constructor(engine: Engine, options: DockerWatcherOptions, report: ReplicaHearer) {
    this.#engine = engine;
    this.#options = options;
    this.#report = report;
  }

  /** Lists everything, then follows the events. @throws always: when they break off, or something else fails */
  async once(signal: AbortSignal, onListed: () => void): Promise<never> {
    const round = new AbortController();
    const labels = { [LABEL_INSTALLATION]: this.#options.installationId };
    const fail = (err: unknown): void => round.abort(err);
    this.#fail = fail;
    const events = (this.#events = new JobEvents());
    // First the stream, then the list, so that no event is missed in between.
    const stream = await this.#engine.events(labels, AbortSignal.any([signal, round.signal]));
    let relisting = this.#relist();
    const timer = setInterval(() => {
      relisting = relisting.then(() => this.#relist());
      relisting.catch(fail);
    }, RELIST_MS);
    try {
      await relisting;
      onListed();
      for await (const event of readEvents(stream)) {
        const { action, containerId, run, replica: index } = event;
        const id = { run, index };
        const command = events.take(event);
        if (command) this.#replicas.get(keyOf(id))?.pump?.send(command);
        if (action === "kill" || action === "oom") continue;
        const look = action === "destroy" ? () => this.#lookGone(id, containerId) : () => this.#look(id, containerId);
        this.#inTurn(id, look).catch(fail);
      }
      throw new CodedError("Unavailable", "The Docker engine ended its stream of events");
    } catch (err) {
      throw round.signal.aborted ? round.signal.reason : err;
    } finally {
      clearInterval(timer);
      for (const planned of this.#planned.values()) clearTimeout(planned);
      this.#planned.clear();
      stream.destroy();
      if (!signal.aborted) await Promise.allSettled(this.#turns.values());
    }
  }

  close(): void {
    for (const { pump } of this.#replicas.values()) pump?.close();
  }

  async #relist(): Promise<void> {
    const listed = await this.#engine.list({ [LABEL_INSTALLATION]: this.#options.installationId });
    const found = new Map<string, ReplicaId & { containerId: string }>();
    /** How many replicas of each run are not in the list. */
    const lacking = new Map<string, number>();
    for (const { Id: containerId, Labels } of listed) {
      const run = runInLabels(Labels);
      const replica = replicaInLabels(Labels);
      if (!run || !replica) continue;
      const id = { run, index: replica.index, containerId };
      found.set(keyOf(id), id);
      lacking.set(textOf(run), (lacking.get(textOf(run)) ?? replica.count) - 1);
    }
    const missing = new Map<string, ReplicaId>();
    const miss = (id: ReplicaId): void => {
      if (!found.has(keyOf(id))) missing.set(keyOf(id), id);
    };
    for (const { run, index } of this.#replicas.values()) miss({ run, index });
    const incomplete = (await runsWithFolders(this.#options.runsDir)).filter((run) => lacking.get(textOf(run)) !== 0);
    await eachOf(incomplete, LOOKS_AT_ONCE, async (run) => {
      for (const { replica: index } of await this.#options.claims.findAll(run)) miss({ run, index });
    });
    const looks = [
      ...[...found.values()].map(
        ({ containerId, ...id }) =>
          () =>
            this.#inTurn(id, () => this.#look(id, containerId, true)),
      ),
      ...[...missing.values()].map((id) => () => this.#inTurn(id, () => this.#lookGone(id))),
    ];
    await eachOf(looks, LOOKS_AT_ONCE, (look) => look());
  }

  /** Looks at a container that exists, or did a moment ago. */
  async #look(id: ReplicaId, containerId: string, again = false): Promise<void> {
    const askedAtMs = performance.now();
    const info = await this.#engine.inspect(containerId);
    return info ? this.#see(id, info, askedAtMs, again) : this.#lookGone(id, containerId);
  }

  async #see(id: ReplicaId, info: ContainerInfo, askedAtMs: number, again = false): Promise<void> {
    const container = containerStateOf(info);
    // Its launch is in progress and reports by itself.
    if (container.phase === "Created") return;
    const replica = this.#replicaOf(id, { container });
    replica.missingAtMs = undefined;
    replica.count = replicaInLabels(info.Config.Labels)?.count ?? replica.count;
    const hasPump = info.Config.Labels[LABEL_CONTAINER_NAME] !== undefined;
    const folder = this.#folderOf(id.run, info.Config.Labels[LABEL_ATTEMPT]);
    if (hasPump && !(await this.#isPumpKnown(replica, () => this.#lookAtPump(replica, folder, info.Id))))
      return this.#lookLater(id, LOOK_AGAIN_MS, () => this.#look(id, info.Id, again));
    if (hasEnded(container)) replica.pump?.send({ command: "jobEnded", cutOff: wasCutOff(info) });
    else if (!this.#events.isKilled(info.Id) && replica.pump?.jobRunsOn(askedAtMs))
      this.#lookLater(id, LOOK_AGAIN_MS, () => this.#look(id, info.Id));
    await this.#update(replica, { ...replica.state, container }, again);
  }

  /**
   * Looks at a replica whose container was not found: launched and lost, or not launched, or cleaned up. It is gone when the
   * engine has not found it twice.
   */
  async #lookGone(id: ReplicaId, containerId?: string): Promise<void> {
    const claim = await this.#options.claims.find(id.run, id.index);
    if (!claim || claim.state === "removed") return this.#forget(id);
    const claimed = claim.containerId;
    if (claimed === undefined || (containerId !== undefined && claimed !== containerId)) return;
    const askedAtMs = performance.now();
    const info = await this.#engine.inspect(claimed);
    if (info) return this.#see(id, info, askedAtMs);
    const replica = this.#replicaOf(id, { container: { phase: "Unknown" } });
    // Removed after its end: the pump continues until the outputs are complete.
    if (replica.state.container.phase === "Exited") return this.#update(replica, replica.state, true);
    replica.missingAtMs ??= performance.now();
    const untilSureMs = replica.missingAtMs + GONE_AFTER_MS - performance.now();
    if (untilSureMs > 0) return this.#lookLater(id, untilSureMs, () => this.#lookGone(id));
    replica.state = { ...replica.state, container: containerStateOf(undefined) };
    const folder = this.#folderOf(id.run, claim.attempt);
    const lookIfAny = async (): Promise<void> => {
      if (await hasPumpSpec(folder)) await this.#lookAtPump(replica, folder, claimed);
    };
    if (!(await this.#isPumpKnown(replica, lookIfAny)))
      return this.#lookLater(id, LOOK_AGAIN_MS, () => this.#lookGone(id));
    // How the job ended is unknown, so its outputs do not count.
    replica.pump?.send({ command: "stop" });
    await this.#update(replica, replica.state, true);
  }

  #forget(id: ReplicaId): void {
    this.#replicas.get(keyOf(id))?.pump?.close();
    this.#replicas.delete(keyOf(id));
  }

  #replicaOf(id: ReplicaId, state: ReplicaState): Replica {
    const known = this.#replicas.get(keyOf(id));
    if (known) return known;
    const replica: Replica = {
      ...id,
      count: id.index + 1,
      state,
      reported: "",
      pump: undefined,
      warnedAtMs: -WARN_AGAIN_MS,
      missingAtMs: undefined,
    };
    this.#replicas.set(keyOf(id), replica);
    return replica;
  }

  async #lookAtPump(replica: Replica, folder: string, containerId: string): Promise<void> {
    const changed = (pump: PumpState): void => {
      // A report that fails is repeated with the next relist.
      this.#update(replica, { ...replica.state, pump }, false).catch(() => undefined);
    };
    const onHeld = (): void => {
      // The next look plans another one if it was too early.
      if (this.#planned.has(keyOf(replica))) return;
      this.#lookLater(replica, LOOK_AGAIN_MS, () => this.#look(replica, containerId));
    };
    replica.pump ??= new PumpWatch(localPump(folder), changed, onHeld);
    replica.state = { ...replica.state, pump: await replica.pump.look() };
  }

  /** False when nothing can be known about the pump for the moment; the replicas of other pumps are not held up by that. */
  async #isPumpKnown(replica: Replica, look: () => Promise<void>): Promise<boolean> {
    try {
      await look();
      return true;
    } catch (err) {
      if (performance.now() - replica.warnedAtMs > WARN_AGAIN_MS) {
        replica.warnedAtMs = performance.now();
        const facts = { runId: replica.run.id, replica: replica.index, reason: messageOf(err) };
        this.#options.log.warn(facts, "a pump could not be asked, trying again");
      }
      return false;
    }
  }

  #folderOf(run: RunIdentity, attempt: string | undefined): string {
    return attemptFolderOf(this.#options.runsDir, run, attempt ?? "");
  }

  /** Looks at the replica again in a while, without keeping others waiting. The last plan for a replica counts. */
  #lookLater(id: ReplicaId, ms: number, look: () => Promise<void>): void {
    const key = keyOf(id);
    clearTimeout(this.#planned.get(key));
    const timer = setTimeout(() => {
      this.#planned.delete(key);
      this.#inTurn(id, look).catch(this.#fail);
    }, ms);
    this.#planned.set(key, timer);
  }

  async #update(replica: Replica, state: ReplicaState, again: boolean): Promise<void> {
    replica.state = state;
    const text = JSON.stringify(state);
    if (text === replica.reported && !again) return;
    replica.reported = text;
    try {
      await this.#report(replica.run, { index: replica.index, count: replica.count, state });
    } catch (err) {
      replica.reported = "";
      throw err;
    }
  }

  async #inTurn(id: ReplicaId, work: () => Promise<void>): Promise<void> {
    const key = keyOf(id);
    const before = this.#turns.get(key);
    const turn = (async () => {
      await before?.catch(() => undefined);
      await work();
    })();
    this.#turns.set(key, turn);
    try {
      await turn;
    } finally {
      if (this.#turns.get(key) === turn) this.#turns.delete(key);
    }
  }
}
