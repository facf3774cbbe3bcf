import { CancellationScope, condition, proxyLocalActivities, upsertSearchAttributes } from "@temporalio/workflow";
import type { RunActivities } from "../activities/run.ts";
import { parseReference, referenceTo, type RunIdentity } from "../model/run/identity.ts";
import { parseConclusion } from "../model/run/answers.ts";
import type { Outcome } from "../model/run/lifecycle.ts";
import { parseReplicaState } from "../model/run/parse.ts";
import { areDecisive, areSettled, areStoring, UNSEEN, withChanges } from "../model/run/replicas.ts";
import type { RunStatus } from "../model/run/run.ts";
import { listen } from "./listen.ts";
import { searchAttributesOf } from "./search-attributes.ts";
import {
  act,
  archive,
  known,
  readable,
  reasonOf,
  recordableReasonOf,
  RETRY,
  startClock,
  unlessStopped,
} from "./steps.ts";

const local = proxyLocalActivities<RunActivities>({ startToCloseTimeout: "10 seconds", retry: RETRY });

/**
 * The workflow of runs that an older version began. It closes as Completed, whatever the end of the run. Its order of steps
 * stays, because runs in flight have it in their history; registered until none of them can be open or reset.
 */
export async function executeRun(argument: RunIdentity): Promise<Outcome | undefined> {
  const run = known(parseReference(argument));
  const ref = referenceTo(run);
  const heard = listen(run, 1);
  const see = (state: unknown): void => {
    heard.replicas = withChanges(heard.replicas, [[0, parseReplicaState(state) ?? UNSEEN]]);
  };
  heard.show("queued: waiting for a free slot");

  return CancellationScope.nonCancellable(async () => {
    let plan = await local.plan(ref);
    if (plan.cancelRequested) heard.requestCancel();
    if (plan.isOver) {
      heard.show("the run had ended before this workflow started");
      await archive(ref);
      return undefined;
    }
    const clock = startClock(plan.deadlineAt);
    const mustStop = (): boolean => heard.cancelRequestedAt !== undefined || clock.isUp();
    const tag = (status: RunStatus): void => {
      if (plan.hasSearchAttributes) upsertSearchAttributes(searchAttributesOf(status, plan.codespecRef));
    };

    if (!plan.admitted) tag("Pending");
    while (!plan.admitted && !mustStop()) {
      const offersSeen = heard.slotOffers;
      await condition(() => mustStop() || heard.slotOffers > offersSeen);
      if (!mustStop()) plan = await local.plan(ref);
    }

    let failure: string | undefined;
    if (!mustStop()) {
      heard.show("launching the container");
      try {
        see(await unlessStopped(() => act.launch(ref), mustStop));
      } catch (err) {
        failure = reasonOf(err);
      }
      if (failure === undefined && !mustStop()) {
        if (!areSettled(heard.replicas)) tag("Running");
        heard.show("the container is running");
        await condition(() => mustStop() || areStoring(heard.replicas) || areDecisive(heard.replicas));
        if (areStoring(heard.replicas)) heard.show("storing the outputs");
        await condition(() => mustStop() || areDecisive(heard.replicas));
      }
    }

    if (!areSettled(heard.replicas)) {
      heard.show(heard.cancelRequestedAt === undefined ? "stopping the container" : "canceling");
      try {
        see(await act.stop(ref));
      } catch (err) {
        failure ??= recordableReasonOf(err);
      }
    }
    const timedOut = clock.isUp();
    clock.stop();
    const ending = {
      replica: heard.replicas[0] ?? UNSEEN,
      ...(failure === undefined ? {} : { failure }),
      ...(heard.cancelRequestedAt === undefined ? {} : { cancelRequestedAt: heard.cancelRequestedAt }),
      ...(timedOut ? { timedOut } : {}),
    };
    const { outcome, isArchived } = await readable(() => act.conclude(ref, ending), parseConclusion);
    tag(outcome.status);
    if (!isArchived) {
      heard.show(`${outcome.status}: archiving the logs`);
      await archive(ref);
    }
    heard.show(outcome.statusReason === undefined ? outcome.status : `${outcome.status}: ${outcome.statusReason}`);
    return outcome;
  });
}

/** The oldest workflow type, of runs without a uid. */
export const runWorkflow = (runId: number): Promise<Outcome | undefined> => executeRun({ id: runId });
