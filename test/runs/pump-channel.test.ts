import { expect, onTestFinished, test } from "vitest";
import { CodedError } from "../../model/errors.ts";
import type { PumpKey, PumpRecord, PumpSight } from "../../model/ports/pump-channel.ts";
import { recordedPump, sightOf } from "../../runs/pump-channel.ts";
import { createChanges } from "../../waiting/changes.ts";
import { eventually } from "../eventually.ts";
import { createFakePumpRecords } from "../fakes/pump-records.ts";

const FAILED = { phase: "Failed", message: "m" } as const;

test.each<[string, PumpRecord | undefined, PumpSight]>([
  ["that was never opened", undefined, { phase: "Unknown" }],
  ["that has said nothing", { isHeard: false }, { phase: "Unknown" }],
  ["that runs", { isHeard: true, report: { phase: "Running", pipeEnds: 1 } }, { phase: "Running" }],
  ["that has been silent", { isHeard: false, report: { phase: "Running" } }, { phase: "Unknown" }],
  ["that has failed", { isHeard: true, report: FAILED }, FAILED],
  ["that has failed and been silent", { isHeard: false, report: FAILED }, FAILED],
  ["with a result", { isHeard: false, report: FAILED, result: { status: "Succeeded" } }, { phase: "Succeeded" }],
])("the state of a pump %s", (_name, record, sight) => {
  expect(sightOf(record)).toEqual(sight);
});

test("commands that are sent while the database is away arrive in their order", async () => {
  const records = createFakePumpRecords();
  const pump = { run: { id: 1, uid: "a" }, replica: 0 };
  records.add(pump.run);
  await records.open(pump, "token");
  const changes = createChanges<PumpKey>((changed) => records.listen(changed));
  onTestFinished(() => changes.close());
  let failures = 0;
  const flaky = {
    find: (of: typeof pump) => records.find(of),
    async addCommand(...[to, command]: Parameters<typeof records.addCommand>) {
      if (command.command === "stop" && ++failures < 3) throw new CodedError("Unavailable", "away");
      await records.addCommand(to, command);
    },
  };
  const link = await recordedPump(flaky, changes, pump).follow(() => {});
  link?.send({ command: "stop" });
  link?.send({ command: "jobEnded", cutOff: true });
  // Also after a close.
  link?.close();
  await link?.closed;
  await eventually(() => records.rows.get("1/0")?.commands.length === 2);
  expect(records.rows.get("1/0")?.commands).toEqual([{ command: "stop" }, { command: "jobEnded", cutOff: true }]);
});
