import type { Readable } from "node:stream";
import { LABEL_RUN } from "../../model/run/names.ts";
import { jsonLinesOf } from "./json-lines.ts";

/** Something that happened to a container of ours. */
export interface ContainerEvent {
  action: "start" | "die" | "destroy";
  containerId: string;
  runId: number;
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
  const runId = Number(actor?.Attributes?.[LABEL_RUN]);
  if (action !== "start" && action !== "die" && action !== "destroy") return undefined;
  return actor?.ID !== undefined && Number.isInteger(runId) ? { action, containerId: actor.ID, runId } : undefined;
}
