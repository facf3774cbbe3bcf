import { CodedError } from "../../model/errors.ts";
import type { ComputeWriter } from "../../model/ports/compute.ts";
import type { ClusterWorkflows } from "../../model/ports/workflows.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import type { ArchivePorts } from "../archive.ts";
import type { EndPorts } from "../end.ts";
import type { Heals } from "./heals.ts";

/** A run that executes and is not in the database, which was restored to a state from before it. */
export interface LostRun extends RunIdentity {
  /** Ends its job; absent when only its workflow is open. */
  endCommand?: string;
}

export interface RepairLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
}

export interface RepairPorts extends EndPorts, Omit<ArchivePorts, "runs" | "compute"> {
  compute: ComputeWriter;
  workflows: ClusterWorkflows;
  /** False once another worker can have begun to repair. */
  mayAct: () => boolean;
  /** Gets the lost runs that still execute, also when there are none. */
  reportLost: (lost: readonly LostRun[]) => void;
  log: RepairLog;
}

/** Everything that finds faults and repairs them. */
export interface Repairing extends Omit<RepairPorts, "mayAct"> {
  /** Calls to Temporal and the database alone: they must not wait for an engine that does not answer. */
  starts: Heals;
  /** Heals that ask the engine. */
  ends: Heals;
  archives: Heals;
  /** Ends what would hold up the end of the process. */
  stopping: AbortSignal;
}

/** The ports of a repair; each call is refused from the moment at which another worker can have begun to repair. */
export function whileMayAct({ mayAct, ...ports }: RepairPorts): Omit<RepairPorts, "mayAct"> {
  const { runs, workflows, compute, store, archive } = ports;
  return {
    ...ports,
    runs: onlyWhile(mayAct, runs),
    workflows: onlyWhile(mayAct, workflows),
    compute: onlyWhile(mayAct, compute),
    store: onlyWhile(mayAct, store),
    archive: onlyWhile(mayAct, archive),
  };
}

function onlyWhile<T extends object>(mayAct: () => boolean, port: T): T {
  return new Proxy(port, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      return (...given: unknown[]): unknown =>
        mayAct()
          ? Reflect.apply(method, target, given)
          : Promise.reject(new CodedError("Unavailable", "Another worker can repair the runs by now"));
    },
  });
}
