import { describe, expect, onTestFinished, test } from "vitest";
import { createPumpService, type PumpCaller, type PumpService } from "../../../api/services/pump-service.ts";
import type { PumpKey } from "../../../model/ports/pump-channel.ts";
import { hashOfToken, newPumpToken } from "../../../runs/pump-token.ts";
import { createChanges } from "../../../waiting/changes.ts";
import { turns } from "../../eventually.ts";
import { createFakePumpRecords } from "../../fakes/pump-records.ts";

const LONG_MS = 600_000;
const POLL = { instance: "one", heard: 0, sequence: 0, report: { phase: "Running" } };
const here = (): AbortSignal => new AbortController().signal;

function notAsked(): never {
  throw new Error("not expected by this test");
}

async function open() {
  const records = createFakePumpRecords();
  const changes = createChanges<PumpKey>((changed) => records.listen(changed));
  onTestFinished(() => changes.close());
  const pump = { run: { id: 7, uid: "uid7" }, replica: 3 };
  records.add(pump.run);
  const token = newPumpToken();
  await records.open(pump, hashOfToken(token));
  const service = createPumpService({ records, changes, runs: { load: notAsked }, buffers: { access: notAsked } });
  return { records, service, pump, caller: { ...pump, token } satisfies PumpCaller };
}

/** A poll that waits, and whether it was answered. */
function waiting(service: PumpService, caller: PumpCaller, signal = here()) {
  const poll = { answer: service.poll(caller, POLL, LONG_MS, signal), isAnswered: false };
  void poll.answer.finally(() => (poll.isAnswered = true)).catch(() => {});
  return poll;
}

describe("a poll", () => {
  test("is answered at once without a wait, and with commands that are there", async () => {
    const { records, service, pump, caller } = await open();
    expect(await service.poll(caller, POLL, 0, here())).toEqual({ commands: [] });
    await records.addCommand(pump, { command: "stop" });
    expect(await service.poll(caller, POLL, LONG_MS, here())).toEqual({ commands: [{ command: "stop" }] });
  });

  test("waits for the next command of its own replica", async () => {
    const { records, service, pump, caller } = await open();
    const other = { ...pump, replica: 4 };
    await records.open(other, "their token");
    const poll = waiting(service, caller);
    await turns(20);
    await records.addCommand(other, { command: "stop" });
    await turns(20);
    expect(poll.isAnswered).toBe(false);
    await records.addCommand(pump, { command: "jobEnded" });
    expect(await poll.answer).toEqual({ commands: [{ command: "jobEnded" }] });
  });

  test("that waits is refused when the run ends and something wakes it", async () => {
    const { records, service, pump, caller } = await open();
    const poll = waiting(service, caller);
    await turns(20);
    records.endRun(pump.run);
    await records.addCommand(pump, { command: "stop" });
    await expect(poll.answer).rejects.toMatchObject({ code: "AuthenticationFailed" });
  });

  test("that waits is answered when its API process stops, and given up when its pump leaves", async () => {
    const { service, caller } = await open();
    const leaving = new AbortController();
    const [left, stopped] = [waiting(service, caller, leaving.signal), waiting(service, caller)];
    await turns(20);
    leaving.abort();
    expect(await left.answer).toEqual({ commands: [] });
    expect(stopped.isAnswered).toBe(false);
    service.close();
    expect(await stopped.answer).toEqual({ commands: [] });
    // Later ones do not wait.
    expect(await service.poll(caller, POLL, LONG_MS, here())).toEqual({ commands: [] });
  });
});
