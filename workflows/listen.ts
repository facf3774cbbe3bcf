import { CancellationScope, setCurrentDetails, setDefaultSignalHandler, setHandler } from "@temporalio/workflow";
import type { RunIdentity } from "../model/run/identity.ts";
import { changeOf, parseChanges } from "../model/run/replica-changes.ts";
import { UNSEEN, unseen, withChanges, type ReplicaStates } from "../model/run/replicas.ts";
import { logDropped } from "./dropped.ts";
import { cancelRun, currentRun, replicaChanged, replicasChanged, slotFree } from "./messages.ts";

/** Everything that the workflow of a run has heard so far: it changes while the workflow waits. */
export interface Heard {
  replicas: ReplicaStates;
  /** When the workflow learned of it; the instant that counts is the one in the row. */
  cancelRequestedAt?: string;
  slotOffers: number;
  /** Until when search attributes are known to be there: a workflow that sets an unknown one cannot continue. */
  tagUntil?: string;
  /** Shows in words what the run is doing, in the Web UI and in the answer to a query. */
  show(words: string): void;
  requestCancel(): void;
}

/** Takes the signals and queries of a run, and Temporal's own cancel. To be called before the workflow waits for anything. */
export function listen({ id: runId, uid }: RunIdentity, replicaCount: number): Heard {
  let phase = "not begun";
  const heard: Heard = {
    replicas: unseen(replicaCount),
    slotOffers: 0,
    show(words) {
      phase = words;
      setCurrentDetails(words);
    },
    requestCancel() {
      heard.cancelRequestedAt ??= new Date().toISOString();
    },
  };
  const drop = (signal: string): void => logDropped({ runId, signal });
  const take = (signal: string, message: unknown): void => {
    const changes = parseChanges(message);
    if (changes === undefined || changes.unknown > 0) drop(signal);
    if (changes === undefined || changes.uid !== uid) return;
    if (changes.replicas.some(([index]) => index >= replicaCount)) drop(signal);
    heard.replicas = withChanges(heard.replicas, changes.replicas);
    if (changes.tagUntil !== undefined) heard.tagUntil = changes.tagUntil;
  };
  setHandler(replicasChanged, (message: unknown) => take(replicasChanged.name, message));
  setHandler(replicaChanged, (state: unknown, of: unknown) => take(replicaChanged.name, changeOf(state, of)));
  // Programs cancel by number, without a uid, and a person with anything. Only a text can be the uid of another run.
  setHandler(cancelRun, (of: unknown) => {
    if (typeof of !== "string" || of === uid) heard.requestCancel();
    else drop(cancelRun.name);
  });
  setHandler(slotFree, () => {
    heard.slotOffers += 1;
  });
  setHandler(currentRun, () => ({
    runId,
    phase,
    cancelRequested: heard.cancelRequestedAt !== undefined,
    replica: heard.replicas[0] ?? UNSEEN,
    ...(replicaCount > 1 && { replicas: heard.replicas }),
  }));
  // The last one: it gets all signals so far that have no handler.
  setDefaultSignalHandler(drop);
  // An ordinary Temporal cancel means the same as the signal.
  CancellationScope.current().cancelRequested.catch(() => heard.requestCancel());
  return heard;
}
