import { atMost, unlessAborted } from "../../waiting/bounded.ts";
import type { Codespecs } from "../codespecs.ts";
import type { CallOptions } from "../http/http.ts";
import { type RunInput, sendInput } from "./input.ts";
import type { Runs } from "./runs.ts";
import {
  type BufferReadOptions,
  type BufferWriteOptions,
  chunksIn,
  type Content,
  type Transfers,
} from "../transfers.ts";
import type { NewRun, Run } from "../types.ts";
import { unmappedOf } from "./unmapped.ts";

export interface ExecOptions extends CallOptions {
  /** The bytes for the job's input; none unless given. */
  input?: Content | undefined;
  /** Called with each state of the run, the created one first. */
  onChange?: ((run: Run) => void) | undefined;
  write?: Omit<BufferWriteOptions, "signal" | "ttl"> | undefined;
  read?: Omit<BufferReadOptions, "signal" | "ttl"> | undefined;
}

/** A run under way. */
export interface Execution {
  /** As it was created. */
  run: Run;
  /** The bytes of the job's output, which is empty when the job has none. It fails when the run does before its end. */
  output: ReadableStream<Uint8Array>;
  /**
   * The ended run, whatever its status; after `Succeeded` its input has been stored. If `input` has not ended
   * by then, the rest is left, and the buffer is marked as failed. Rejects when the input cannot be moved though the run
   * itself does not fail, when the run cannot be watched, and when `signal` is aborted.
   */
  ended: Promise<Run>;
}

/** A transfer often fails because its run does; then the run's end, which follows, is the answer. */
const RUN_END_MS = 3000;
const CANCEL_MS = 10_000;

interface Services {
  runs: Runs;
  buffers: Transfers;
  codespecs: Codespecs;
}

/** The parts of the client that create a run and follow it to its end. */
export interface Executions {
  /**
   * Creates a run, moves `input` into its input buffer, and gives its output and its end. An abort cancels the run.
   * @throws Error when the job has several inputs or several outputs without a buffer
   */
  exec(run: NewRun, options?: ExecOptions): Promise<Execution>;
}

/** The one parameter, or undefined. @throws Error when there are more */
function onlyOne(direction: string, names: readonly string[]): string | undefined {
  if (names.length < 2) return names[0];
  const list = names.map((name) => `'${name}'`).join(", ");
  throw new Error(`the job has several ${direction}s without a buffer: give buffers for all but one of ${list}`);
}

/** @see Executions.exec */
export async function execute(
  { runs, buffers, codespecs }: Services,
  request: NewRun,
  options: ExecOptions,
): Promise<Execution> {
  const { signal, input = "", onChange } = options;
  const { codespec, buffers: given } = request.job;
  const unmapped = unmappedOf(
    typeof codespec === "string" ? await codespecs.find(codespec, { signal }) : codespec,
    given,
  );
  const inputName = onlyOne("input", unmapped.inputs);
  const outputName = onlyOne("output", unmapped.outputs);
  if (options.input !== undefined && inputName === undefined) throw new Error("the job has no input without a buffer");
  signal?.throwIfAborted();
  const run = await createOrCancel(runs, request, signal);
  onChange?.(run);
  const idOf = (name: string): string => run.job.buffers?.[name] ?? "";
  const stopping = new AbortController();
  const both = signal ? AbortSignal.any([signal, stopping.signal]) : stopping.signal;
  const transfer = { signal: both, ttl: run.bufferAccessTtl };
  const feeding =
    inputName === undefined
      ? undefined
      : sendInput(chunksIn(input), both, (source, until) =>
          buffers.write(idOf(inputName), source, { ...options.write, ...transfer, signal: until }),
        );
  const output =
    outputName === undefined ? emptyStream() : buffers.read(idOf(outputName), { ...options.read, ...transfer });
  const watching = endOf(runs, run, both, onChange);
  const ended = settle(watching, feeding).catch(async (err: unknown) => {
    stopping.abort(err);
    if (signal?.aborted) {
      await cancelSoon(runs, run.id);
      // The input is being marked as not whole.
      await feeding?.done.catch(() => undefined);
    }
    signal?.throwIfAborted();
    throw err;
  });
  ended.then(
    (last) => last.status !== "Succeeded" && stopping.abort(failureOf(last)),
    () => undefined,
  );
  return { run, output, ended };
}

function failureOf({ id, status, statusReason }: Run): Error {
  return new Error(`run ${id} ended with status ${status}${statusReason ? ` (${statusReason})` : ""}`);
}

/** An abort does not end the request: a run that may have been created has to be known, to be canceled. */
async function createOrCancel(runs: Runs, request: NewRun, signal: AbortSignal | undefined): Promise<Run> {
  const creating = runs.create(request);
  if (!signal) return creating;
  try {
    return await unlessAborted(creating, signal);
  } catch (err) {
    creating.then(({ id }) => cancelSoon(runs, id)).catch(() => undefined);
    throw err;
  }
}

/** After an abort no caller learns of a failure: the server ends the run at its timeout. */
const cancelSoon = (runs: Runs, id: number): Promise<unknown> =>
  runs.cancel(id, { signal: AbortSignal.timeout(CANCEL_MS) }).catch(() => undefined);

/** The ended run, as soon as what it read has been stored, too. */
async function settle(watching: Promise<Run>, feeding: RunInput | undefined): Promise<Run> {
  const failed = (feeding?.done ?? Promise.resolve()).then(
    () => new Promise<never>(() => undefined),
    (error: unknown) => ({ error }),
  );
  const first = await Promise.race([watching, failed]);
  if (!("error" in first)) {
    if (first.status === "Succeeded") await feeding?.finish();
    return first;
  }
  const run = await atMost(
    RUN_END_MS,
    watching.catch(() => undefined),
  );
  if (run && run.status !== "Succeeded") return run;
  throw first.error;
}

async function endOf(runs: Runs, { id }: Run, signal: AbortSignal, onChange: ExecOptions["onChange"]): Promise<Run> {
  let last: Run | undefined;
  for await (const run of runs.watch(id, { signal })) {
    onChange?.(run);
    last = run;
  }
  if (!last) throw new Error("the watch ended before the run did");
  return last;
}

const emptyStream = (): ReadableStream<Uint8Array> => new ReadableStream({ start: (controller) => controller.close() });
