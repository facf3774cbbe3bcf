import { CancellationScope, condition, proxyActivities, setHandler, sleep } from "@temporalio/workflow";
import { bareEnded } from "./bare-signal.ts";

const { step, launch } = proxyActivities<{ step(): Promise<void>; launch(): Promise<void> }>({
  startToCloseTimeout: "1 minute",
  heartbeatTimeout: "8 seconds",
});

/** The least that a durable run of anything costs: one activity that does nothing. */
export async function bareWorkflow(): Promise<void> {
  await step();
}

/** The least that a run with a launch, a deadline, a message of its end and a record of it costs: steps that do nothing. */
export async function stepsWorkflow(): Promise<void> {
  let hasEnded = false;
  setHandler(bareEnded, () => {
    hasEnded = true;
  });
  const deadline = new CancellationScope({ cancellable: true });
  const clock = deadline.run(() => sleep("12 hours")).catch(() => undefined);
  await launch();
  await condition(() => hasEnded);
  deadline.cancel();
  await clock;
  await step();
}
