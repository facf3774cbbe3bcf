import { readFileSync, statSync } from "node:fs";
import { errnoOf, messageOf } from "../model/errors.ts";
import { PUMP_FILES, TRY_AGAIN_EXIT, type PumpCommand, type PumpSpec } from "../model/run/pump.ts";
import type { PumpEnd } from "./channel-end.ts";
import { openJournal } from "./journal.ts";
import { localEnd } from "./local-end.ts";
import { Pump } from "./pump.ts";

/**
 * `node pump.js FOLDER`: moves all bytes of one launch attempt. Its instructions are in the folder, not in argv. In a pod, a
 * result that is a failure is exit code 1.
 */

/** How long open handles can delay the exit of a process that has done its work. */
const LINGER_MS = 200;
const LONG_MS = 2 ** 30;

process.umask(0o077);
const spec = takeFolder(process.argv[2]);
if (!spec) process.exit(0);

const isInPod = spec.terminationFile !== undefined;
const journal = openJournal({ runId: spec.runId });
const end = await endOf(spec);
if (!(await end.begin())) process.exit(isInPod ? 1 : 0);
// Loaded while the container starts: the worker waits only until we have begun. A failure is reported by each pipe.
const buffers = import("./buffers.ts").then(({ connectBuffers }) => connectBuffers(spec, journal));
buffers.catch(() => {});
// No command can arrive before this turn of the event loop ends.
const pump = new Pump(spec, { buffers, journal, onState: (state) => end.show(state) });

// When the machine shuts down, the job ends too, and its output from partial input must not count. So the pump fails, and
// keeps the pipes open until SIGKILL or a command. The others are ignored: the shell that started the stack can go, and batch
// systems signal all processes of a job before its time is up.
for (const signal of ["SIGTERM", "SIGINT"])
  process.on(signal, () =>
    pump.interrupt(isInPod ? `The pod is being ended (${signal})` : `The pump was stopped by ${signal}`, isInPod),
  );
for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2"]) process.on(signal, () => {});
process.on("uncaughtException", (err) => pump.fail(`The pump failed: ${messageOf(err)}`));

journal("info", "pump started");
// A pump that has failed may have nothing left to do, and must not exit: that would look like the end of the inputs.
const staying = setInterval(() => {}, LONG_MS);
const result = await pump.run();
await end.leave(result);
clearInterval(staying);
if (isInPod && result.status === "Failed") process.exitCode = 1;
// Not process.exit() at once: it waits for V8's compiler threads, and one of them can be waiting for a garbage collection
// that then never happens.
setTimeout(() => process.exit(), LINGER_MS).unref();

/** Undefined if the folder is missing, renamed or not ready, or has a result: this attempt was given up, or is over. */
function takeFolder(folder: string | undefined): PumpSpec | undefined {
  try {
    process.chdir(folder ?? "");
    const text = readFileSync(PUMP_FILES.spec, "utf8");
    const isOver = statSync(PUMP_FILES.result, { throwIfNoEntry: false }) !== undefined;
    return isOver ? undefined : (JSON.parse(text) as PumpSpec);
  } catch (err) {
    if (errnoOf(err) === "ENOENT") return undefined;
    process.stderr.write(`${messageOf(err)}\n`);
    process.exit(errnoOf(err) === undefined ? 1 : TRY_AGAIN_EXIT);
  }
}

function obey(said: PumpCommand): void {
  journal("info", "command received", { ...said });
  if (said.command === "abandon") process.exit(0);
  if (said.command === "jobEnded") pump.endJob(said.cutOff ?? false);
  else if (said.command === "jobRunsOn") pump.goOn(said.pipeEnds);
  else pump.stop();
}

/** The end of the channel that the specification asks for. Only the code for that is loaded. */
async function endOf({ channel, terminationFile }: PumpSpec): Promise<PumpEnd> {
  if (!channel) return localEnd(obey, journal);
  const [{ connectApi }, { ApiEnd }] = await Promise.all([import("./api-client.ts"), import("./api-end.ts")]);
  const onRefused = (reason: string): void => pump.fail(`The server refuses this pump: ${reason}`);
  const apiEnd = new ApiEnd({ ask: connectApi(channel, journal), obey, onRefused, journal });
  if (terminationFile === undefined) return apiEnd;
  const { podEnd } = await import("./pod-end.ts");
  return podEnd(apiEnd, terminationFile, journal);
}
