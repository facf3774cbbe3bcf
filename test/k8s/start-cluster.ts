import { inject } from "vitest";
import { startCluster } from "./own-cluster.ts";

/** Before each file of the suite: the first one starts the cluster; one that was left broken is repaired. */
const state = inject("ownCluster");
if (state !== "") await startCluster(state, inject("testRunPid"));
