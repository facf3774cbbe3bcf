import { existsSync, readFileSync } from "node:fs";
import { errnoOf, messageOf } from "../model/errors.ts";
import { PUMP_FILES, type PumpCommand, type PumpResult, type PumpSpec } from "../model/run/pump.ts";
import { every, retry } from "../waiting/retry.ts";
import { Control } from "./control.ts";
import { openJournal } from "./journal.ts";
import { Pump } from "./pump.ts";
import { leaveResult } from "./result.ts";

/** `node pump.js FOLDER`: moves all bytes of one launch attempt. What it is told is in the folder, nothing in argv. */

/** How long what is still open may hold a process that has done its work. */
const LINGER_MS = 200;

process.umask(0o077);
const spec = takeFolder(process.argv[2]);
if (!spec) process.exit(0);

const journal = openJournal({ runId: spec.runId });
const control = new Control(obey);
if (existsSync(PUMP_FILES.result) || !(await control.listen(PUMP_FILES.socket))) process.exit(0);
// Loaded while the container starts: the worker waits only until we listen. A failure is reported by each pipe.
const buffers = import("./buffers.ts").then(({ connectBuffers }) => connectBuffers(spec, journal));
buffers.catch(() => {});
// No command can arrive before this turn of the event loop ends.
const pump = new Pump(spec, { buffers, journal, onState: (state) => control.show(state) });

// When the machine goes down the job is ended too, and what it makes of cut input must not count: so the pump fails, and
// holds the pipes until SIGKILL or a command. The others are ignored: the shell that started the stack can go, and batch
// systems signal all processes of a job before its time is up.
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => pump.interrupt(`The pump was ended by ${signal}`));
for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2"]) process.on(signal, () => {});
process.on("uncaughtException", (err) => pump.fail(`The pump failed: ${messageOf(err)}`));

journal("info", "the pump has started");
const result = await pump.run();
await leave(result);
await control.leave({ phase: result.status, ...(result.message !== undefined && { message: result.message }) });
// Not process.exit() at once: it waits for V8's compiler threads, one of which may wait for a garbage collection that
// then never comes.
setTimeout(() => process.exit(), LINGER_MS).unref();

/** Undefined when the folder is gone, renamed or not ready: this attempt was given up before it began. */
function takeFolder(folder: string | undefined): PumpSpec | undefined {
  try {
    process.chdir(folder ?? "");
    return JSON.parse(readFileSync(PUMP_FILES.spec, "utf8")) as PumpSpec;
  } catch {
    return undefined;
  }
}

function obey({ command }: PumpCommand): void {
  journal("info", "the pump was told", { command });
  if (command === "abandon") process.exit(0);
  if (command === "jobEnded") pump.endJob();
  else pump.stop();
}

/** Without a result the pump counts as dead, so a full disk is waited out; a folder that is gone needs none. */
async function leave(result: PumpResult): Promise<void> {
  const passes = (err: unknown): boolean => errnoOf(err) !== "ENOENT";
  const onRetry = (err: unknown): void => journal("error", "the result cannot be written", { reason: messageOf(err) });
  try {
    await retry(() => leaveResult(result), { pauses: every(1000), passes, onRetry });
  } catch {
    // The folder is gone.
  }
}
