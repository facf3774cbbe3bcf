import type { Readable } from "node:stream";
import { parseIdentity, type RunIdentity } from "../../model/run/identity.ts";
import { LABEL_RUN, LABEL_RUN_UID, replicaInLabels } from "../../model/run/names.ts";
import { jsonLinesOf } from "./json-lines.ts";

/** Something that happened to a container of ours. */
export interface ContainerEvent {
  action: (typeof CONTAINER_ACTIONS)[number];
  containerId: string;
  run: RunIdentity;
  /** Which replica of the run it is. */
  replica: number;
  /** Of `die`, unless the engine leaves it out. */
  exitCode?: number;
  /** Of `kill`: its number or its name. */
  signal?: string;
}

/** `kill` is any signal that is sent through the engine, and `oom` the end of any process for lack of memory. */
export const CONTAINER_ACTIONS = ["start", "kill", "oom", "die", "destroy"] as const;

interface EngineEvent {
  Action?: string;
  Actor?: { ID?: string; Attributes?: Record<string, string> };
}

/** The events of a stream as they arrive; events of other containers are skipped. */
export async function* readEvents(stream: Readable): AsyncGenerator<ContainerEvent> {
  for await (const value of jsonLinesOf(stream)) {
    const event = eventOf(value as EngineEvent);
    if (event) yield event;
  }
}

function eventOf({ Action, Actor: actor }: EngineEvent): ContainerEvent | undefined {
  const { exitCode, signal, ...attributes } = actor?.Attributes ?? {};
  const run = parseIdentity(attributes[LABEL_RUN], attributes[LABEL_RUN_UID]);
  const replica = replicaInLabels(attributes);
  const action = CONTAINER_ACTIONS.find((name) => name === Action);
  if (action === undefined || actor?.ID === undefined || !run || !replica) return undefined;
  return {
    action,
    containerId: actor.ID,
    run,
    replica: replica.index,
    ...(exitCode !== undefined && /^[0-9]+$/.test(exitCode) && { exitCode: Number(exitCode) }),
    ...(signal !== undefined && { signal }),
  };
}
