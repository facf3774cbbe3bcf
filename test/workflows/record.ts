import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { WorkflowHandle } from "@temporalio/client";
import { temporal } from "@temporalio/proto";
import { errnoOf } from "../../model/errors.ts";

const HISTORIES = resolve(import.meta.dirname, "../histories");

/** With TYGER_RECORD_HISTORIES, writes the workflow's history; one that is there stays, as runs of its version can be in flight. */
export async function recordHistory(handle: WorkflowHandle | undefined, name: string): Promise<void> {
  if (!process.env["TYGER_RECORD_HISTORIES"]) return;
  const history = temporal.api.history.v1.History.fromObject((await handle?.fetchHistory()) ?? {});
  const text = JSON.stringify(history.toJSON(), null, 1);
  await writeFile(join(HISTORIES, `${name}.json`), text, { flag: "wx" }).catch((err: unknown) => {
    if (errnoOf(err) !== "EEXIST") throw err;
  });
}
