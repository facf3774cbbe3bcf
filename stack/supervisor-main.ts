import { json } from "node:stream/consumers";
import { processesOf } from "./server-processes.ts";
import { stackSettingsSchema } from "./supervisor/settings.ts";
import { supervise } from "./supervisor/supervisor.ts";
import { webUiOf } from "./temporal/temporal.ts";

/** The background process of a stack: settings come on stdin, what it has to say goes to its log on stdout. */
const log = (line: string) => process.stdout.write(`${new Date().toISOString()} ${line}\n`);
// A full disk takes no more of it, which is no reason to end.
process.stdout.on("error", () => {});

const settings = stackSettingsSchema.parse(await json(process.stdin));
const { postgres, temporal } = settings;
const supervisor = await supervise({
  settings,
  webUi: temporal.kind === "dev" ? webUiOf(temporal) : undefined,
  given: {
    ...(postgres.kind === "given" && { postgres: postgres.place }),
    ...(temporal.kind === "given" && { temporal: temporal.address }),
  },
  stages: processesOf(settings),
  log,
});
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void supervisor.stop());
// The terminal that `tyger up` ran in can close, and batch systems signal all processes of a job before its time is up.
for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2"] as const) process.on(signal, () => {});
await supervisor.ended;
log("stopped");
// A client that does not read its answer must not hold us.
setTimeout(() => process.exit(0), 500).unref();
