import type { ModeChecks } from "../../runs/mode-checks.ts";
import { SOLE_CLUSTER } from "../../model/run/names.ts";

/** The clusters of a server that has one, which no client sees. */
export const soleCluster = (checkMode: ModeChecks = async () => {}) => ({
  all: [{ name: SOLE_CLUSTER, checkMode }] as const,
  areShown: false,
});
