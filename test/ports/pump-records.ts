import { randomBytes } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { pumpKeyOf, type PumpAddress, type PumpRecords } from "../../model/ports/pump-channel.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import type { PumpPoll } from "../../model/run/pump-messages.ts";
import { eventually, stays } from "../eventually.ts";

/** The records of pumps as the API and the workers use them: the database and the fake keep the same promises. */
export interface PumpRecordsUnderTest {
  records: PumpRecords;
  /** An open run that was stored just now. */
  newRun: () => Promise<RunIdentity>;
  endRun: (run: RunIdentity) => Promise<void>;
  /** Lets a minute pass since the pump's last word. */
  silence: (pump: PumpAddress) => Promise<void>;
}

const REFUSED = { name: "CodedError", code: "AuthenticationFailed" };
const TAKEN = { name: "CodedError", code: "Conflict" };
const RUNNING = { phase: "Running" } as const;

const pollOf = (more: Partial<PumpPoll> = {}): PumpPoll => ({
  instance: "one",
  heard: 0,
  sequence: 0,
  report: RUNNING,
  ...more,
});

/** `open` gives records of their own, which go with the test. */
export function testPumpRecords(open: () => Promise<PumpRecordsUnderTest>): void {
  /** Records with the pump of replica 0 of a new run, and its token. */
  const opened = async () => {
    const under = await open();
    const pump: PumpAddress = { run: await under.newRun(), replica: 0 };
    const token = randomBytes(16).toString("hex");
    await under.records.open(pump, token);
    return { ...under, pump, token };
  };

  test("a pump that was not opened, and one that has said nothing, have no report", async () => {
    const { records, pump } = await opened();
    expect(await records.find(pump)).toEqual({ isHeard: false });
    expect(await records.find({ ...pump, replica: 1 })).toBeUndefined();
    expect(await records.find({ ...pump, run: { ...pump.run, uid: "another" } })).toBeUndefined();
  });

  test("the pump of an unknown run, or of another one with its number, is not opened", async () => {
    const { records, pump } = await opened();
    const unknown = { ...pump, run: { id: 999_999, uid: "none" } };
    for (const other of [unknown, { ...pump, run: { ...pump.run, uid: "another" } }])
      await expect(records.open(other, "t")).rejects.toMatchObject({ code: "NotFound" });
  });

  test("the latest report counts, in whichever order they arrive", async () => {
    const { records, pump, token } = await opened();
    const [held, failed] = [{ ...RUNNING, pipeEnds: 2 }, { phase: "Failed", message: "é🙂", cutOff: true } as const];
    await records.poll(pump, token, pollOf());
    expect(await records.find(pump)).toEqual({ report: RUNNING, isHeard: true });
    await records.poll(pump, token, pollOf({ sequence: 2, report: failed }));
    await records.poll(pump, token, pollOf({ sequence: 1, report: held }));
    await records.poll(pump, token, pollOf({ sequence: 2, report: held }));
    expect(await records.find(pump)).toEqual({ report: failed, isHeard: true });
  });

  test("a pump that is silent for a minute is not heard, and keeps its report", async () => {
    const { records, pump, token, silence } = await opened();
    await records.poll(pump, token, pollOf());
    await silence(pump);
    expect(await records.find(pump)).toEqual({ report: RUNNING, isHeard: false });
    await records.poll(pump, token, pollOf());
    expect(await records.find(pump)).toMatchObject({ isHeard: true });
  });

  test("commands are given in their order until the pump has heard them, each one once", async () => {
    const { records, pump, token } = await opened();
    const runsOn = (pipeEnds: number) => ({ command: "jobRunsOn", pipeEnds }) as const;
    const cutOff = { command: "jobEnded", cutOff: true } as const;
    for (const command of [runsOn(1), runsOn(1), cutOff, runsOn(2), { command: "jobEnded" } as const, cutOff])
      await records.addCommand(pump, command);
    const all = [runsOn(1), cutOff, runsOn(2), { command: "jobEnded" }];
    expect(await records.poll(pump, token, pollOf())).toEqual({ commands: all });
    // The answer was lost.
    expect(await records.poll(pump, token, pollOf())).toEqual({ commands: all });
    expect(await records.poll(pump, token, pollOf({ heard: 3 }))).toEqual({ commands: all.slice(3) });
    await records.addCommand(pump, { command: "stop" });
    expect(await records.poll(pump, token, pollOf({ heard: 4 }))).toEqual({ commands: [{ command: "stop" }] });
  });

  test("a command that many send at once is kept once", async () => {
    const { records, pump, token } = await opened();
    await Promise.all(Array.from({ length: 20 }, () => records.addCommand(pump, { command: "stop" })));
    expect((await records.poll(pump, token, pollOf())).commands).toHaveLength(1);
  });

  test("a token is refused for another replica, another run, and once its run has ended", async () => {
    const { records, pump, token, newRun, endRun } = await opened();
    const others: PumpAddress[] = [
      { ...pump, replica: 1 },
      { run: await newRun(), replica: 0 },
    ];
    for (const other of others) await records.open(other, "their token");
    const refusals = async (of: PumpAddress, given: string): Promise<void> => {
      await expect(records.authenticate(of, given)).rejects.toMatchObject(REFUSED);
      await expect(records.poll(of, given, pollOf())).rejects.toMatchObject(REFUSED);
      const result = { status: "Succeeded" } as const;
      await expect(records.finish(of, given, { instance: "one", result })).rejects.toMatchObject(REFUSED);
    };
    for (const other of others) await refusals(other, token);
    await refusals({ ...pump, run: { ...pump.run, uid: "another" } }, token);
    await refusals({ ...pump, replica: 7 }, token);
    await refusals(pump, "their token");
    for (const other of others) expect(await records.find(other)).toEqual({ isHeard: false });
    await records.authenticate(pump, token);
    await endRun(pump.run);
    await refusals(pump, token);
  });

  test("the first process that asks speaks for the pump", async () => {
    const { records, pump, token } = await opened();
    const asked = await Promise.allSettled(
      Array.from({ length: 10 }, (_, place) => records.poll(pump, token, pollOf({ instance: `i${place}` }))),
    );
    expect(asked.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const first = `i${asked.findIndex(({ status }) => status === "fulfilled")}`;
    await expect(records.poll(pump, token, pollOf({ instance: "late" }))).rejects.toMatchObject(TAKEN);
    const result = { status: "Succeeded" } as const;
    await expect(records.finish(pump, token, { instance: "late", result })).rejects.toMatchObject(TAKEN);
    await records.finish(pump, token, { instance: first, result });
    expect((await records.find(pump))?.result).toEqual(result);
  });

  test("a result is written once, and nothing comes after it", async () => {
    const { records, pump, token } = await opened();
    const result = { status: "Failed", message: "it broke", cutOff: true } as const;
    await records.poll(pump, token, pollOf());
    await Promise.all([1, 2, 3].map(() => records.finish(pump, token, { instance: "one", result })));
    for (const other of [{ status: "Succeeded" } as const, { ...result, message: "else" }])
      await expect(records.finish(pump, token, { instance: "one", result: other })).rejects.toMatchObject(TAKEN);
    await expect(records.poll(pump, token, pollOf({ sequence: 5 }))).rejects.toMatchObject(TAKEN);
    await records.addCommand(pump, { command: "stop" });
    expect(await records.find(pump)).toEqual({ report: RUNNING, result, isHeard: true });
    // Not even another pump takes its place.
    await expect(records.open(pump, "another token")).rejects.toMatchObject(TAKEN);
    await records.open(pump, token);
    expect((await records.find(pump))?.result).toEqual(result);
  });

  test("another token is another pump: nothing is kept of the former one, which is refused", async () => {
    const { records, pump, token } = await opened();
    await records.addCommand(pump, { command: "abandon" });
    await records.poll(pump, token, pollOf({ sequence: 4 }));
    await records.open(pump, token);
    expect((await records.find(pump))?.report).toEqual(RUNNING);
    await records.open(pump, "next");
    expect(await records.find(pump)).toEqual({ isHeard: false });
    await expect(records.poll(pump, token, pollOf())).rejects.toMatchObject(REFUSED);
    expect(await records.poll(pump, "next", pollOf({ instance: "two" }))).toEqual({ commands: [] });
    expect((await records.find(pump))?.report).toEqual(RUNNING);
  });

  test("each new command, report and result is announced, and that a pump is there is not", async () => {
    const { records, pump, token } = await opened();
    const heard: (string | undefined)[] = [];
    const listener = await records.listen((key) => heard.push(key));
    onTestFinished(() => listener.close());
    const announced = async (count: number): Promise<void> => {
      await eventually(() => heard.length >= count);
      await stays(() => heard.length === count);
    };
    await records.poll(pump, token, pollOf());
    await announced(1);
    await records.poll(pump, token, pollOf());
    await records.addCommand(pump, { command: "jobEnded" });
    await records.addCommand(pump, { command: "jobEnded" });
    await announced(2);
    for (const _ of [1, 2]) await records.finish(pump, token, { instance: "one", result: { status: "Succeeded" } });
    await announced(3);
    expect(new Set(heard)).toEqual(new Set([pumpKeyOf(pump)]));
  });
}
