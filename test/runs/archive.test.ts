import { once } from "node:events";
import { expect, test } from "vitest";
import { archiveRun } from "../../runs/archive.ts";
import type { LogLines } from "../../model/ports/log.ts";
import type { RunRecord } from "../../model/run/run.ts";

const refuse = (): never => {
  throw new Error("not expected by this test");
};
const run = { id: 7 } as RunRecord; // Nothing else of it is looked at.
const LINE = [{ at: "2026-01-01T00:00:00.000000000Z", bytes: Buffer.from("first\n") }];

test("a log that takes too long is not archived in part, and the engine keeps it", async () => {
  const done: string[] = [];
  const archived = archiveRun(
    {
      runs: { recordArchived: async () => void done.push("recorded") },
      logs: {
        // Like the engine's reader: it ends without an error once its consumer stops.
        async *logs(_run: unknown, _query: unknown, signal: AbortSignal): LogLines {
          yield LINE;
          await once(signal, "abort");
        },
      },
      archive: {
        async write(_runId: number, lines: LogLines) {
          for await (const batch of lines) done.push(`wrote ${batch.length}`);
          done.push("whole");
        },
        read: refuse,
      },
      compute: { remove: async () => void done.push("removed") },
    } as unknown as Parameters<typeof archiveRun>[0], // The other ports, which archiving does not use, are left out.
    run,
    AbortSignal.timeout(20),
  );
  await expect(archived).rejects.toThrow("timeout");
  expect(done).toEqual(["wrote 1"]);
});
