import { afterAll, afterEach, beforeAll, describe } from "vitest";
import { CHANNELS, startPump, type Channel, type Pipes, type PumpProcess, type Way } from "./pump-process.ts";
import { startWorld, type World } from "./world.ts";

/** Shared by the tests of a file: one world, and pumps that end with the test that started them. */
export interface PumpSuite {
  readonly world: World;
  /** The pumps have a socket and leave a file; else they speak to the API. */
  readonly isLocal: boolean;
  start(pipes: Pipes): Promise<PumpProcess>;
}

/** Runs `tests` over each channel to pumps; `way`: how the pumps reach the buffers. */
export function testPumps(way: Way, tests: (suite: PumpSuite) => void): void {
  describe.each(CHANNELS)("over %s:", (channel) => {
    tests(pumpSuite(way, channel));
  });
}

/** The suite of one channel. */
export function pumpSuite(way: Way, channel: Channel): PumpSuite {
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
    isLocal: channel === "the local socket",
    get world() {
      if (!world) throw new Error("The world exists only after beforeAll");
      return world;
    },
    async start(pipes) {
      const pump = await startPump(this.world, { way, channel }, pipes);
      pumps.push(pump);
      return pump;
    },
  };
}
