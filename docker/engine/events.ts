import type { Readable } from "node:stream";
import { LABEL_RUN } from "../../model/run/names.ts";

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

/** The events of a stream as they come; a line that is not one of ours is passed over. */
export async function* readEvents(stream: Readable): AsyncGenerator<ContainerEvent> {
  let rest = "";
  stream.setEncoding("utf8");
  for await (const text of stream as AsyncIterable<string>) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = eventOf(line);
      if (event) yield event;
    }
  }
}

function eventOf(line: string): ContainerEvent | undefined {
  if (line.trim() === "") return undefined;
  const { Action: action, Actor: actor } = JSON.parse(line) as EngineEvent;
  const runId = Number(actor?.Attributes?.[LABEL_RUN]);
  if (action !== "start" && action !== "die" && action !== "destroy") return undefined;
  return actor?.ID !== undefined && Number.isInteger(runId) ? { action, containerId: actor.ID, runId } : undefined;
}
