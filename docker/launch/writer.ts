import { mkdir } from "node:fs/promises";
import type { ComputeWriter, LaunchClaims } from "../../model/ports/compute.ts";
import { connectEngine, type Engine } from "../engine/engine.ts";
import type { PumpCommandLine } from "../pump/pump-process.ts";
import { runFolderOf } from "./attempt-folder.ts";
import { launch } from "./launch.ts";
import type { PlacePorts } from "./pump-access.ts";
import { remove } from "./remove.ts";
import { observe } from "./replica.ts";
import { stop } from "./stop.ts";
import { survey } from "./survey.ts";

export interface DockerWriterOptions extends PlacePorts {
  installationId: string;
  claims: LaunchClaims;
  pumpCommand: PumpCommandLine;
  dockerHost?: string | undefined;
  /** Between SIGTERM and SIGKILL. Short: many programs ignore SIGTERM as process 1. */
  stopGraceSeconds?: number;
}

/** Launches, stops and removes the containers and pumps of an installation's runs. */
export function createDockerWriter(options: DockerWriterOptions): ComputeWriter {
  const { dockerHost, stopGraceSeconds = 1, ...given } = options;
  const engine = connectEngine(dockerHost);
  const ports = { ...given, engine, stopGraceSeconds, runtimeWithoutGpu: askedOnce(engine) };
  return {
    async provision(run) {
      // Only for us: the engine's mount leads into the pipes, and other users of the machine find no way there.
      await mkdir(runFolderOf(given.runsDir, run), { recursive: true, mode: 0o700 });
    },
    launch: (run, replica) => launch({ ...ports, replica }, run),
    stop: (run, replica) => stop({ ...ports, replica }, run),
    observe: (run, replica) => observe({ ...ports, replica }, run),
    remove: (run) => remove(ports, run),
    survey: () => survey(ports, dockerHost),
  };
}

/** An engine's GPUs do not change while it runs; a question that failed is asked again. */
function askedOnce(engine: Engine): () => Promise<string | undefined> {
  let gpu: ReturnType<Engine["gpu"]> | undefined;
  return async () => {
    gpu ??= engine.gpu();
    try {
      return (await gpu).runtimeWithout;
    } catch (err) {
      gpu = undefined;
      throw err;
    }
  };
}
