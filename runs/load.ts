import { notFound } from "../model/errors.ts";
import type { RunRecords } from "../model/ports/records.ts";
import type { RunRecord } from "../model/run/run.ts";

/** @throws CodedError NotFound */
export async function loadRun(runs: Pick<RunRecords, "find">, runId: number): Promise<RunRecord> {
  const run = await runs.find(runId);
  if (!run) throw notFound();
  return run;
}
