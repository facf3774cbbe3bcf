import { messageOf } from "../../model/errors.ts";
import type { ComputeWriter, LaunchClaims } from "../../model/ports/compute.ts";
import type { LogParts } from "../../model/ports/log-parts.ts";
import type { ApiPumps } from "../../model/ports/pump-channel.ts";
import type { Kube } from "../client/kube.ts";
import type { PodSettings } from "../spec/cluster-settings.ts";
import { launch, provision } from "./launch.ts";
import { removeOldPrograms, type PumpProgram } from "./program.ts";
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
  pumps: ApiPumps;
  program: PumpProgram;
  log: { warn(facts: object, message: string): void };
  /** Between SIGTERM and SIGKILL. Short: many programs ignore SIGTERM as process 1. */
  stopGraceSeconds?: number;
}

/** Longer than an update of the workers takes. */
const TIDY_MS = 3_600_000;

/** Launches, stops and removes the pods of an installation's runs. */
export function createKubeWriter({ claimNamespace, stopGraceSeconds = 2, ...given }: KubeWriterOptions): ComputeWriter {
  const ports = { ...given, stopGraceSeconds };
  let tidiedAtMs = performance.now();
  const tidy = async (): Promise<void> => {
    if (performance.now() - tidiedAtMs < TIDY_MS) return;
    tidiedAtMs = performance.now();
    try {
      await removeOldPrograms(ports);
    } catch (err) {
      // They harm nothing meanwhile.
      given.log.warn({ reason: messageOf(err) }, "could not remove old programs of pumps, trying again in an hour");
    }
  };
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
      await tidy();
    },
    survey: () => survey(ports),
  };
}
