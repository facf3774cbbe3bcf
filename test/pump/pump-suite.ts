import { afterAll, afterEach, beforeAll } from "vitest";
import { startPump, type PumpProcess } from "./pump-process.ts";
import { startWorld, type World } from "./world.ts";

/** Shared by the tests of a file: one world, and pumps that end with the test that started them. */
export interface PumpSuite {
  readonly world: World;
  start(pipes: Parameters<typeof startPump>[1]): Promise<PumpProcess>;
}

/** `way`: how the pumps reach the buffers. */
export function pumpSuite(way: keyof World["places"]): PumpSuite {
  let world: World | undefined;
  const pumps: PumpProcess[] = [];
  beforeAll(async () => {
    world = await startWorld();
  });
  afterAll(() => world?.close());
  afterEach(() => {
    for (const pump of pumps.splice(0)) pump.end();
  });
  return {
    get world() {
      if (!world) throw new Error("The world exists only after beforeAll");
      return world;
    },
    async start(pipes) {
      const pump = await startPump(this.world.places[way], pipes);
      pumps.push(pump);
      return pump;
    },
  };
}
