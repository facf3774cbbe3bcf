import { isCutOff } from "../../model/run/cut-off.ts";
import type { PumpCommand } from "../../model/run/pump.ts";
import type { ContainerEvent } from "../engine/events.ts";

/**
 * Knows from one stream of events alone how the jobs of containers end, if they tell: the engine answers an inspection only
 * after it has taken down the network of the container.
 */
export class JobEvents {
  /** Containers that this stream knows since their start, and that have not run out of memory since. */
  readonly #clean = new Set<string>();
  readonly #killed = new Set<string>();

  /** The command to the pump of the container; undefined when nothing is to say, or only an inspection can tell. */
  take({ action, containerId, exitCode, signal }: ContainerEvent): PumpCommand | undefined {
    const isClean = this.#clean.has(containerId);
    if (action === "start") this.#clean.add(containerId);
    else if (action === "kill" && isSigkill(signal)) this.#killed.add(containerId);
    else if (action !== "kill") this.#clean.delete(containerId);
    if (action === "destroy") this.#killed.delete(containerId);
    if (action !== "die" || exitCode === undefined) return undefined;
    if (isCutOff({ exitCode, isOutOfMemory: false })) return { command: "jobEnded", cutOff: true };
    return exitCode === 0 && isClean ? { command: "jobEnded", cutOff: false } : undefined;
  }

  /** Whether the engine was told to kill it: that it still runs then says nothing. */
  isKilled(containerId: string): boolean {
    return this.#killed.has(containerId);
  }
}

const isSigkill = (signal: string | undefined): boolean => signal !== undefined && /^(9|(SIG)?KILL)$/i.test(signal);
