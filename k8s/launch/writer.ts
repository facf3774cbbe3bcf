import type { ComputeWriter } from "../../model/ports/compute.ts";
import type { LogParts } from "../../model/ports/log-parts.ts";
import type { LaunchClaims } from "../../model/ports/compute.ts";
import type { Kube } from "../client/kube.ts";
import type { PodSettings } from "../spec/cluster-settings.ts";
import { launch, provision } from "./launch.ts";
import { remove } from "./remove.ts";
import { observe } from "./replica.ts";
import { stop } from "./stop.ts";
import { survey } from "./survey.ts";

export interface KubeWriterOptions {
  kube: Kube;
  claims: LaunchClaims;
  settings: PodSettings;
  /** Called before anything of a run is created. */
  claimNamespace: () => Promise<void>;
  /** Removed with the rest of a run. */
  parts: Pick<LogParts, "remove">;
  /** Between SIGTERM and SIGKILL. Short: many programs ignore SIGTERM as process 1. */
  stopGraceSeconds?: number;
}

/** Launches, stops and removes the pods of an installation's runs. */
export function createKubeWriter({ claimNamespace, stopGraceSeconds = 2, ...given }: KubeWriterOptions): ComputeWriter {
  const ports = { ...given, stopGraceSeconds };
  return {
    async provision(run) {
      await claimNamespace();
      await provision(ports, run);
    },
    launch: (run, replica) => launch(ports, run, replica),
    stop: (run, replica) => stop(ports, run, replica),
    observe: (run, replica) => observe(ports, run, replica),
    async remove(run) {
      await remove(ports, run);
      // After its pods, because nothing stores their logs any more.
      await given.parts.remove(run);
    },
    survey: () => survey(ports),
  };
}
