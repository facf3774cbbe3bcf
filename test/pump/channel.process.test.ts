import { afterAll, beforeAll, describe } from "vitest";
import { localPump } from "../../docker/pump/pump-link.ts";
import { testPumpChannel, type ChannelUnderTest } from "../ports/pump-channel.ts";
import { startEnd, type EndProcess } from "./end-process.ts";
import { startWorld, type World } from "./world.ts";

type Rest = Pick<ChannelUnderTest, "channel" | "another" | "lose" | "interrupt">;

const underTest = (pump: EndProcess, rest: Rest): ChannelUnderTest => ({
  ...rest,
  pump,
  told: pump.told,
  close: () => pump.close(),
});

describe("the local socket and the result file:", () => {
  testPumpChannel("Dead", async () => {
    const pump = startEnd();
    return underTest(pump, {
      channel: localPump(pump.folder),
      another: localPump(pump.folder),
      lose: () => pump.kill(),
      async interrupt() {
        // A machine under load: connections open, and no process answers.
        pump.suspend();
        await localPump(pump.folder).command({ command: "jobEnded" }, 20);
        pump.resume();
      },
    });
  });
});

describe("our API, and records in memory:", () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld();
  });
  afterAll(() => world?.close());

  testPumpChannel("Unknown", async () => {
    const { pump: address, token, access, channel } = await world.api.open([]);
    const pump = startEnd(access, token);
    return underTest(pump, {
      channel,
      another: channel,
      async lose() {
        await pump.kill();
        world.api.records.silence(address);
      },
      async interrupt() {
        await world.api.stop();
        await world.api.listen();
      },
    });
  });
});
