import type { ComputeReader, ComputeWriter } from "../model/ports/compute.ts";
import type { LogArchive, LogLines } from "../model/ports/log.ts";
import type { RunRecords } from "../model/ports/records.ts";
import type { RunRecord } from "../model/run/run.ts";

export interface ArchivePorts {
  runs: Pick<RunRecords, "recordArchived">;
  compute: Pick<ComputeWriter, "remove">;
  logs: Pick<ComputeReader, "logs">;
  archive: Pick<LogArchive, "write">;
}

/** An hour is more than the longest log takes; a stalled engine must not hold an archive forever. */
export const ARCHIVE_LIMIT_MS = 3_600_000;

/**
 * Archives the logs, then removes what the run left in the engine; never the other way around.
 * @throws the reason of `signal` when it is aborted while the logs are read
 */
export async function archiveRun(
  ports: ArchivePorts,
  run: RunRecord,
  signal = AbortSignal.timeout(ARCHIVE_LIMIT_MS),
): Promise<void> {
  if (run.archivedAt === undefined) {
    const lines = wholly(ports.logs.logs(run, { toArchive: true }, signal), signal);
    await ports.runs.recordArchived(run, await ports.archive.write(run, lines));
  }
  await ports.compute.remove(run);
}

/** Gives up the logs, so that the engine can be cleaned: removing without an archive loses them. */
export async function discardLogs(ports: Pick<ArchivePorts, "runs" | "compute">, run: RunRecord): Promise<void> {
  await ports.runs.recordArchived(run);
  await ports.compute.remove(run);
}

/** A log that is aborted ends without an error: the lines until then must not count as the whole log. */
async function* wholly(lines: LogLines, signal: AbortSignal): LogLines {
  yield* lines;
  signal.throwIfAborted();
}
