import { createClient } from "../client/client.ts";
import type { RunStatus } from "../client/types.ts";
import { poll } from "../waiting/bounded.ts";
import type { Report } from "./host/progress.ts";

/** A job can use its stop grace before it is killed; runs are canceled in parallel. */
const CANCEL_MS = 60_000;
const ANSWER_MS = 30_000;
const OPEN: readonly RunStatus[] = ["Pending", "Running", "Canceling"];

/** Cancels all runs behind `apiSocket`, and resolves when they have ended. @throws Error when some have not in time */
export async function cancelOpenRuns(apiSocket: string, report: Report, withinMs = CANCEL_MS): Promise<void> {
  const { runs } = createClient({ kind: "unix", socketPath: apiSocket });
  const asked = new Set<number>();
  let open: number[] = [];
  const cancelAll = async (): Promise<"ended" | undefined> => {
    open = [];
    const list = runs.list({ status: OPEN, pageSize: 1000, signal: AbortSignal.timeout(ANSWER_MS) });
    for await (const { id } of list) open.push(id);
    if (open.length === 0) return "ended";
    for (const id of open.filter((one) => !asked.has(one))) {
      await runs.cancel(id, { signal: AbortSignal.timeout(ANSWER_MS) });
      asked.add(id);
    }
    report(`waiting for ${open.length} runs to be canceled`);
    return undefined;
  };
  if (await poll(cancelAll, { everyMs: 500, withinMs })) return;
  throw new Error(`${open.length} runs did not end within ${withinMs / 1000} s after the request to cancel them`);
}
