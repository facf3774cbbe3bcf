import type { Client } from "../../client/client.ts";
import { writeBuffer } from "../../buffers/format/writer.ts";
import { type RunInput, sendInput } from "../../client/run/input.ts";
import { accessTo } from "../../client/transfers.ts";
import { hasEnded, type NewRun, type Run } from "../../client/types.ts";
import { readInto, warnings } from "../buffer/buffer-transfer.ts";
import { FatalError, QuietFailure } from "../line/command.ts";
import { type Host, isBrokenPipe } from "../terminal/host.ts";
import { withInterrupt } from "../terminal/interrupt.ts";
import type { Log } from "../terminal/log.ts";
import { atMost } from "../../waiting/bounded.ts";
import { RunProgress } from "./run-progress.ts";
import { copyLogs, reopening } from "./run-logs.ts";
import type { RunRequest } from "./run-request.ts";
import type { Unmapped } from "./unmapped-buffers.ts";

export interface ExecutionOptions {
  showLogs: boolean;
  timestamps: boolean;
  blockSizeBytes: number;
  writeDop: number;
  readDop: number;
}

export interface Execution {
  client: Client;
  host: Host;
  log: Log;
  request: RunRequest;
  unmapped: Unmapped;
  /** Read only if there is an unmapped input. */
  stdin: AsyncIterable<Uint8Array> | undefined;
  options: ExecutionOptions;
}

/** How long to wait for the rest of a followed log after its run ended. */
const LOGS_MS = 20_000;
/** A transfer often fails because its run does; the run's status, which follows, has the reason. */
const RUN_END_MS = 3000;
/** How long to wait for the writer to mark an incomplete input as failed. */
const INPUT_MARK_MS = 1000;
const CANCEL_MS = 10_000;

/**
 * Creates a run, connects its unmapped buffers to stdin and stdout, and waits until it ends.
 * @throws FatalError when the run or a transfer fails; QuietFailure when it was interrupted, and the run canceled
 */
export async function executeRun(execution: Execution): Promise<void> {
  const { client, host, log, request } = execution;
  await withInterrupt(host, log, async (signal) => {
    // Not interruptible: to cancel the run that was created we need its id.
    const run = await client.runs.create(request as NewRun);
    log.info("Run created", { runId: run.id });
    const stopping = new AbortController();
    const progress = new RunProgress(host, run);
    const parts = startParts(execution, run, progress, AbortSignal.any([signal, stopping.signal]));
    try {
      signal.throwIfAborted();
      await seeToEnd(execution, run, parts);
    } catch (err) {
      stopping.abort();
      if (signal.aborted) return await abandon(execution, run, parts);
      if (!isBrokenPipe(err, host)) {
        await withinMs(parts.input?.done, INPUT_MARK_MS);
        throw err;
      }
      log.error("stdout was closed", { runId: run.id });
      await abandon(execution, run, parts);
    } finally {
      progress.end();
    }
  });
}

/** The concurrent parts of an execution. Each settles by itself. */
interface Parts {
  end: Promise<Run>;
  input: RunInput | undefined;
  output: Promise<unknown>;
  logs: Promise<unknown>;
}

function startParts(execution: Execution, run: Run, progress: RunProgress, signal: AbortSignal): Parts {
  const { client, host, log, unmapped, stdin, options } = execution;
  const access = (parameter: string, writeable: boolean) =>
    accessTo(client.buffers, run.job.buffers?.[parameter] ?? "", { writeable, ttl: run.bufferAccessTtl });
  const hooks = { signal, ...warnings(log) };
  const parts: Parts = {
    input:
      unmapped.input !== undefined && stdin
        ? sendInput(stdin, signal, (source, until) =>
            writeBuffer(source, access(unmapped.input ?? "", true), {
              ...hooks,
              signal: until,
              onProgress: (sizeBytes) => progress.input.add(sizeBytes),
              dop: options.writeDop,
              blockSizeBytes: options.blockSizeBytes,
            }),
          )
        : undefined,
    output:
      unmapped.output === undefined
        ? Promise.resolve()
        : readInto(host.stdout, access(unmapped.output, false), {
            ...hooks,
            onProgress: (sizeBytes) => progress.output.add(sizeBytes),
            dop: options.readDop,
          }),
    logs: options.showLogs
      ? copyLogs(
          client.runs.logBytes(run.id, { follow: true, timestamps: options.timestamps, signal, ...reopening(log) }),
          host.stderr,
        )
      : Promise.resolve(),
    end: endOf(client, log, run, progress, signal),
  };
  const { input, output, logs, end } = parts;
  for (const part of [input?.done, output, logs, end]) part?.catch(() => undefined);
  return parts;
}

async function endOf(client: Client, log: Log, created: Run, progress: RunProgress, signal: AbortSignal): Promise<Run> {
  let last: Pick<Run, "status" | "statusReason" | "runningCount"> = { status: created.status };
  const onReopen = (error: unknown): void => log.warn("Reconnecting to the run", { error });
  for await (const run of client.runs.watch(created.id, { signal, onReopen })) {
    const reason = run.status === "Pending" ? run.statusReason : undefined;
    progress.phase(reason === undefined ? run.status : `${run.status}: ${reason}`);
    if (reason !== undefined && reason !== last.statusReason) {
      log.info("Run is waiting to begin", { runId: run.id, reason });
    }
    if (run.status !== last.status || run.runningCount !== last.runningCount) {
      log.info("Run status changed", { runId: run.id, status: run.status, runningCount: run.runningCount });
    }
    if (hasEnded(run) || run.status === "Canceling") return run;
    last = run;
  }
  throw new Error("the watch ended before the run did");
}

async function seeToEnd(execution: Execution, created: Run, parts: Parts): Promise<void> {
  const { host, log, options } = execution;
  const { end, input, output } = parts;
  const runId = created.id;
  const failure = () =>
    Promise.race([
      failureOf(input?.done, "Failed to write input", runId, host),
      failureOf(output, "Failed to read output", runId, host),
    ]);
  try {
    const run = await Promise.race([
      end.catch((error: unknown) => {
        throw new FatalError("Failed to watch the run", { runId, error });
      }),
      failure(),
    ]);
    if (run.status === "Succeeded") {
      await Promise.race([Promise.all([input && finishInput(execution, created, input), output]), failure()]);
    }
    if (options.showLogs) await waitForLogs(parts.logs, log);
    if (run.status !== "Succeeded") throw failedRun(run);
  } catch (err) {
    if (!(err instanceof TransferError)) throw err;
    const run = await withinMs(end, RUN_END_MS);
    if (run && run.status !== "Succeeded") {
      if (options.showLogs) await waitForLogs(parts.logs, log);
      throw failedRun(run);
    }
    throw err;
  }
}

/** Stores or cuts the input of a run that has succeeded, and reports a cut. */
async function finishInput({ log, unmapped }: Execution, run: Run, input: RunInput): Promise<void> {
  if (!(await input.finish())) return;
  log.warn("The run ended before it read all of stdin: the rest is not stored, and the input buffer is marked failed", {
    runId: run.id,
    buffer: run.job.buffers?.[unmapped.input ?? ""],
  });
}

function failedRun({ id, status, statusReason }: Run): FatalError {
  const reason = statusReason ? ` (${statusReason})` : "";
  return new FatalError("Run failed", { runId: id, error: `run failed with status ${status}${reason}` });
}

/** A failed transfer; the run itself may be the reason. */
class TransferError extends FatalError {}

/** Rejects when the transfer fails, and never resolves. A missing reader of our stdout is not a failure of the transfer. */
const failureOf = (part: Promise<unknown> | undefined, message: string, runId: number, host: Host): Promise<never> =>
  (part ?? Promise.resolve()).then(
    () => new Promise<never>(() => undefined),
    (error: unknown) => {
      throw isBrokenPipe(error, host) ? error : new TransferError(message, { runId, error }, { cause: error });
    },
  );

async function waitForLogs(logs: Promise<unknown>, log: Log): Promise<void> {
  const hasEnded = await withinMs(
    logs.then(
      () => true,
      (error: unknown) => {
        log.warn("Failed to follow the logs", { error });
        return true;
      },
    ),
    LOGS_MS,
  );
  if (!hasEnded) log.warn("timed out waiting for logs");
}

const withinMs = async <T>(work: Promise<T> | undefined, ms: number): Promise<T | undefined> =>
  work &&
  atMost<T | undefined>(
    ms,
    work.catch(() => undefined),
  );

/** Cancels a run whose caller has gone, and reports it. */
async function abandon({ client, log }: Execution, run: Run, parts: Parts): Promise<never> {
  const canceling = client.runs.cancel(run.id, { signal: AbortSignal.timeout(CANCEL_MS) }).then(
    ({ status }) =>
      hasEnded({ status }) && status !== "Canceled"
        ? log.warn("The run had ended before it could be canceled", { runId: run.id, status })
        : log.warn("Cancel requested", { runId: run.id, status }),
    (error: unknown) => log.error("The run could not be canceled", { runId: run.id, error }),
  );
  await Promise.all([canceling, withinMs(parts.input?.done, INPUT_MARK_MS)]);
  throw new QuietFailure();
}
