import { createClient } from "../client/client.ts";
import type { RunStatus } from "../client/types.ts";
import type { StackConfig } from "../config/stack.ts";
import { leaveDockerd } from "./docker/dockerd.ts";
import { lock } from "./host/lock.ts";
import { askStack, endRecorded } from "./supervisor/process-record.ts";
import type { Report } from "./host/progress.ts";
import { poll } from "../waiting/bounded.ts";
import { lockNameOf } from "./up.ts";

const LOCK_MS = 300_000;
const STOP_MS = 60_000;
/** A job can use its stop grace before it is killed; runs are canceled in parallel. */
const CANCEL_MS = 60_000;
const ANSWER_MS = 30_000;

/**
 * Stops the processes of the stack and keeps its data. Running jobs continue, unless `cancelRuns`.
 * @returns whether anything was running.
 */
export async function down(
  config: StackConfig,
  { cancelRuns }: { cancelRuns: boolean },
  report: Report,
): Promise<boolean> {
  const { paths } = config;
  await using _held = await lock(lockNameOf(config), LOCK_MS, "on this stack", report);
  const running = await askStack(paths, "status");
  if (cancelRuns && !running) throw new Error("Runs can only be canceled while the stack is up; nothing was changed");
  if (cancelRuns && running) await cancelOpenRuns(running.apiSocket, report);
  if (running) await askStack(paths, "stop", STOP_MS);
  // Left by a supervisor that was killed or did not finish.
  const left = await endRecorded(paths.stateDir);
  const dockerd = await leaveDockerd(paths, report);
  if (dockerd === "stopped") report("stopped the Docker engine that 'tyger up' started");
  else if (dockerd) report(`left the Docker engine running: ${dockerd}`);
  return running !== undefined || left.length > 0;
}

const OPEN: readonly RunStatus[] = ["Pending", "Running", "Canceling"];

async function cancelOpenRuns(apiSocket: string, report: Report): Promise<void> {
  const { runs } = createClient({ kind: "unix", socketPath: apiSocket });
  const asked = new Set<number>();
  let open = 0;
  const cancelAll = async (): Promise<"ended" | undefined> => {
    open = 0;
    for await (const { id } of runs.list({ status: OPEN, pageSize: 1000, signal: AbortSignal.timeout(ANSWER_MS) })) {
      open += 1;
      if (!asked.has(id)) await runs.cancel(id, { signal: AbortSignal.timeout(ANSWER_MS) });
      asked.add(id);
    }
    if (open === 0) return "ended";
    report(`waiting for ${open} runs to be canceled`);
    return undefined;
  };
  if (await poll(cancelAll, { everyMs: 500, withinMs: CANCEL_MS })) return;
  throw new Error(`${open} runs did not end within ${CANCEL_MS / 1000} s after the request to cancel them`);
}
