import { containersOf, QUICK_MS, type Containers } from "./containers.ts";
import { engineAddressOf } from "./engine-address.ts";
import { createCaller } from "./engine-call.ts";
import { imagesOf, type Images } from "./images.ts";

export type { ContainerInfo, CreateOptions, LogStreamOptions } from "./containers.ts";

/** The one client of a Docker engine. Each call has a deadline. @throws CodedError Unavailable, EngineRefusal */
export interface Engine extends Containers, Images {
  /** @throws also when it does not answer within `withinMs` */
  ping(withinMs: number): Promise<void>;
  /** Whether containers can use GPUs, and the runtime of those that do not ask for any. */
  gpu(): Promise<{ available: boolean; runtimeWithout?: string }>;
}

/**
 * The engine of `dockerHost`, or the one of this machine. Connects with the first call.
 * @throws CodedError InvalidInput
 */
export function connectEngine(dockerHost?: string): Engine {
  const caller = createCaller(engineAddressOf(dockerHost));
  return {
    ...containersOf(caller),
    ...imagesOf(caller),

    async ping(withinMs) {
      (await caller.open({ method: "GET", path: "/_ping", withinMs })).resume();
    },

    async gpu() {
      const call = { method: "GET", path: "/info", withinMs: QUICK_MS } as const;
      const info = await caller.ask<{ Runtimes?: Record<string, unknown>; DefaultRuntime?: string }>(call);
      const available = Object.keys(info.Runtimes ?? {}).some((name) => name.startsWith("nvidia"));
      return info.DefaultRuntime?.startsWith("nvidia") ? { available, runtimeWithout: "runc" } : { available };
    },
  };
}
