import { describe, expect, onTestFinished, test } from "vitest";
import type { PumpChannel, PumpLink } from "../../model/ports/pump-channel.ts";
import type { PumpCommand, PumpReport } from "../../model/run/pump.ts";
import type { PumpEnd } from "../../pump/channel-end.ts";
import { eventually } from "../eventually.ts";

/** Both ends of a channel to one pump, which runs in the test. */
export interface ChannelUnderTest {
  channel: PumpChannel;
  /** The same channel in another process. */
  another: PumpChannel;
  pump: PumpEnd;
  /** The commands that the pump got. */
  told: PumpCommand[];
  /** The pump dies, or is so far away that nothing of it arrives. */
  lose: () => Promise<void>;
  /** Breaks every connection. */
  interrupt: () => Promise<void>;
  close: () => Promise<void>;
}

const SUCCEEDED = { phase: "Succeeded" } as const;
const FAILED = { phase: "Failed", message: "The input broke" } as const;

/**
 * The promises of a channel. `lost`: the state of a pump that is gone without a result. Whether it is dead is known only
 * where the process itself can be looked for.
 */
export function testPumpChannel(lost: "Dead" | "Unknown", open: () => Promise<ChannelUnderTest>): void {
  const begun = async (): Promise<ChannelUnderTest> => {
    const under = await open();
    onTestFinished(() => under.close());
    expect(await under.pump.begin()).toBe(true);
    return under;
  };
  const following = async (channel: PumpChannel): Promise<{ link: PumpLink; heard: PumpReport[] }> => {
    const heard: PumpReport[] = [];
    const link = await channel.follow((report) => heard.push(report));
    if (!link) throw new Error("The pump has ended");
    onTestFinished(() => link.close());
    return { link, heard };
  };

  describe("a pump that has begun", () => {
    test("is running, and shows each later state", async () => {
      const { channel, pump } = await begun();
      expect(await channel.state()).toEqual({ phase: "Running" });
      pump.show({ phase: "Running", pipeEnds: 1 });
      pump.show(FAILED);
      await eventually(async () => (await channel.state()).phase === "Failed");
      expect(await channel.state()).toEqual(FAILED);
    });

    test("sends its state to those who follow it, the present one first", async () => {
      const { channel, another, pump } = await begun();
      const first = await following(channel);
      await eventually(() => first.heard.length === 1);
      pump.show({ phase: "Running", pipeEnds: 2 });
      await eventually(() => first.heard.length === 2);
      const second = await following(another);
      await eventually(() => second.heard.length === 1);
      pump.show(FAILED);
      await eventually(() => first.heard.length === 3 && second.heard.length === 2);
      const held = { phase: "Running", pipeEnds: 2 };
      expect(first.heard).toEqual([{ phase: "Running" }, held, FAILED]);
      expect(second.heard).toEqual([held, FAILED]);
    });

    test("sends nothing to those who have left", async () => {
      const { channel, pump } = await begun();
      const { link, heard } = await following(channel);
      await eventually(() => heard.length === 1);
      link.close();
      await link.closed;
      pump.show(FAILED);
      await eventually(async () => (await channel.state()).phase === "Failed");
      expect(heard).toHaveLength(1);
    });
  });

  describe("commands", () => {
    test("arrive in their order, from any process", async () => {
      const { channel, another, told } = await begun();
      const { link } = await following(channel);
      const sent: PumpCommand[] = [1, 2, 3].map((pipeEnds) => ({ command: "jobRunsOn", pipeEnds }));
      for (const command of sent) link.send(command);
      await eventually(() => told.length === 3);
      await another.command({ command: "jobEnded", cutOff: true }, 0);
      await channel.command({ command: "stop" }, 0);
      await eventually(() => told.length === 5);
      expect(told).toEqual([...sent, { command: "jobEnded", cutOff: true }, { command: "stop" }]);
    });

    test("arrive although every connection breaks again and again", async () => {
      const { channel, told, interrupt } = await begun();
      for (const pipeEnds of [1, 2, 3, 4]) {
        await channel.command({ command: "jobRunsOn", pipeEnds }, 0);
        await eventually(() => told.some((command) => "pipeEnds" in command && command.pipeEnds === pipeEnds));
        await interrupt();
      }
      expect((await channel.state()).phase).toBe("Running");
    });

    test("return the outcome when it arrives in time", async () => {
      const { channel, pump, told } = await begun();
      const outcome = channel.command({ command: "stop" }, 60_000);
      await eventually(() => told.length === 1);
      const result = { status: "Failed", message: "The run was stopped", cutOff: true } as const;
      const { status: phase, ...rest } = result;
      await pump.leave(result);
      expect(await outcome).toEqual({ phase, ...rest });
    });

    test("return the state of a pump that continues, and the failure of one that has failed", async () => {
      const { channel, pump } = await begun();
      expect(await channel.command({ command: "jobEnded" }, 50)).toEqual({ phase: "Running" });
      pump.show(FAILED);
      expect(await channel.command({ command: "jobEnded" }, 60_000)).toEqual(FAILED);
    });
  });

  describe("a result", () => {
    test("stays, is the last thing that those who follow hear, and leaves nothing to follow", async () => {
      const { channel, another, pump } = await begun();
      const { link, heard } = await following(channel);
      await eventually(() => heard.length === 1);
      await pump.leave({ status: "Succeeded" });
      await link.closed;
      expect(heard.at(-1)).toEqual(SUCCEEDED);
      for (const one of [channel, another]) {
        expect(await one.state()).toEqual(SUCCEEDED);
        expect(await one.follow(() => {})).toBeUndefined();
      }
    });

    test("answers every later command", async () => {
      const { channel, pump, told } = await begun();
      await pump.leave({ status: "Failed", message: "é🙂", cutOff: true });
      const state = { phase: "Failed", message: "é🙂", cutOff: true };
      expect(await channel.command({ command: "stop" }, 60_000)).toEqual(state);
      expect(told).toEqual([]);
    });
  });

  describe("a pump that is gone without a result", () => {
    test(`is ${lost}, and never taken for one with a result`, async () => {
      const { channel, lose } = await begun();
      await lose();
      await eventually(async () => (await channel.state()).phase === lost);
      expect((await channel.command({ command: "stop" }, 50)).phase).toBe(lost);
    });

    test("keeps the failure that it has shown, unless it is known to be dead", async () => {
      const { channel, pump, lose } = await begun();
      pump.show(FAILED);
      await eventually(async () => (await channel.state()).phase === "Failed");
      await lose();
      const expected = lost === "Dead" ? "Dead" : "Failed";
      await eventually(async () => (await channel.state()).phase === expected);
      expect((await channel.command({ command: "stop" }, 0)).phase).toBe(expected);
    });
  });
}
