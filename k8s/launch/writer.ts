import type { ComputeWriter } from "../../model/ports/compute.ts";
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
    remove: (run) => remove(ports, run),
    survey: () => survey(ports),
  };
}
