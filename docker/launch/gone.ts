import { setTimeout as sleep } from "node:timers/promises";
import type { ContainerInfo, Engine } from "../engine/engine.ts";

/** A container counts as gone when the engine has answered twice that it has none with this id, this long apart. */
export const GONE_AFTER_MS = 10_000;

/**
 * The container, also where the engine finds it only at the second look; undefined when it is gone. An engine that is down
 * or a list that lacks the container says nothing about it.
 * @throws CodedError Unavailable
 */
export async function inspectSurely(
  engine: Pick<Engine, "inspect">,
  id: string,
  pause: (ms: number) => Promise<unknown> = sleep,
): Promise<ContainerInfo | undefined> {
  const info = await engine.inspect(id);
  if (info) return info;
  await pause(GONE_AFTER_MS);
  return engine.inspect(id);
}
