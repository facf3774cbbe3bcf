import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { StackConfig } from "../config/stack.ts";
import { leaveDockerd } from "./docker/dockerd.ts";
import { lock } from "./host/lock.ts";
import { askStack, endRecorded } from "./supervisor/process-record.ts";
import type { Report } from "./host/progress.ts";
import { lockNameOf } from "./up.ts";

const LOCK_MS = 300_000;
const STOP_MS = 60_000;
/** A job has its stop grace before it is killed; the runs go in parallel. */
const CANCEL_MS = 60_000;

/**
 * Stops the processes of the stack and keeps its data. Jobs that run go on, unless `cancelRuns`.
 * @returns whether anything was running.
 */
export async function down(
  config: StackConfig,
  { cancelRuns }: { cancelRuns: boolean },
  report: Report,
): Promise<boolean> {
  const { paths } = config;
  await using _held = await lock(lockNameOf(config), LOCK_MS, "of this stack", report);
  const running = await askStack(paths, "status");
  if (cancelRuns && !running) throw new Error("Runs can only be canceled while the stack is up; nothing was changed");
  if (cancelRuns && running) await cancelOpenRuns(running.apiSocket, report);
  if (running) await askStack(paths, "stop", STOP_MS);
  // What a supervisor left that was killed, or that did not come to its end.
  const left = await endRecorded(paths.stateDir);
  const dockerd = await leaveDockerd(paths, report);
  if (dockerd === "stopped") report("the Docker engine that 'tyger up' had started is stopped");
  else if (dockerd) report(`the Docker engine that 'tyger up' had started is ${dockerd} and goes on`);
  return running !== undefined || left.length > 0;
}

const pageSchema = z.object({
  items: z.array(z.object({ id: z.number() })),
  nextLink: z.string().nullish(),
});
const OPEN = "status=Pending&status=Running&status=Canceling";

async function cancelOpenRuns(apiSocket: string, report: Report): Promise<void> {
  const endMs = Date.now() + CANCEL_MS;
  const asked = new Set<number>();
  for (;;) {
    const text = await askApi(apiSocket, "GET", `/runs?api-version=1.0&limit=1000&${OPEN}`);
    const { items } = pageSchema.parse(JSON.parse(text));
    if (items.length === 0) return;
    for (const { id } of items) {
      if (asked.has(id)) continue;
      asked.add(id);
      await askApi(apiSocket, "POST", `/runs/${id}/cancel?api-version=1.0`);
    }
    if (Date.now() > endMs) {
      throw new Error(`${items.length} runs were asked to cancel and have not ended within ${CANCEL_MS / 1000} s`);
    }
    report(`waiting for ${items.length} runs to be canceled`);
    await sleep(500);
  }
}

function askApi(socketPath: string, method: "GET" | "POST", path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, signal: AbortSignal.timeout(30_000) }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => (text += chunk));
      answer.once("error", reject);
      answer.once("end", () => {
        if ((answer.statusCode ?? 500) < 400) resolve(text);
        else reject(new Error(`The API answered ${answer.statusCode}: ${text}`));
      });
    });
    sent.once("error", reject);
    sent.end();
  });
}
