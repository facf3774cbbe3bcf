import type { Readable } from "node:stream";
import { parseIdentity, type RunIdentity } from "../../model/run/identity.ts";
import { LABEL_RUN, LABEL_RUN_UID } from "../../model/run/names.ts";
import { jsonLinesOf } from "./json-lines.ts";

/** Something that happened to a container of ours. */
export interface ContainerEvent {
  action: "start" | "die" | "destroy";
  containerId: string;
  run: RunIdentity;
}

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

function eventOf({ Action: action, Actor: actor }: EngineEvent): ContainerEvent | undefined {
  const run = parseIdentity(actor?.Attributes?.[LABEL_RUN], actor?.Attributes?.[LABEL_RUN_UID]);
  if (action !== "start" && action !== "die" && action !== "destroy") return undefined;
  return actor?.ID !== undefined && run ? { action, containerId: actor.ID, run } : undefined;
}
