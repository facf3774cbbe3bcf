import { continueAsNew, proxyActivities, setDefaultSignalHandler } from "@temporalio/workflow";
import type { WatchActivities } from "../activities/watch.ts";
import { logDropped } from "./dropped.ts";

const { watchCluster } = proxyActivities<WatchActivities>({
  startToCloseTimeout: "1 day",
  // A dead worker's watch is taken over within this time.
  heartbeatTimeout: "5 seconds",
  retry: { initialInterval: "200 ms", backoffCoefficient: 2, maximumInterval: "2 seconds" },
});

/** Keeps exactly one watcher of a cluster alive, on whichever worker there is. Never ends by itself. */
export async function watchWorkflow(): Promise<void> {
  setDefaultSignalHandler((signal) => logDropped({ signal }));
  await watchCluster();
  await continueAsNew<typeof watchWorkflow>();
}
