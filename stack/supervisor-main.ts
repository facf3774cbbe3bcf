import { json } from "node:stream/consumers";
import { createLineWriter } from "../disk/line-writer.ts";
import { processesOf } from "./server-processes.ts";
import { stackSettingsSchema } from "./supervisor/settings.ts";
import { supervise } from "./supervisor/supervisor.ts";
import { temporalAddressOf, webUiOf } from "./temporal/temporal.ts";

/** The background process of a stack. Reads its settings from stdin and logs to stdout. */
const textOf = (line: string) => `${new Date().toISOString()} ${line}\n`;
const output = createLineWriter(1, (lines, reason) => textOf(`${lines} lines of this log were lost: ${reason}`));
const log = (line: string) => output.write(textOf(line));

const settings = stackSettingsSchema.parse(await json(process.stdin));
const { postgres, temporal } = settings;
const supervisor = await supervise({
  settings,
  ...(temporal.kind === "dev" && { webUi: webUiOf(temporal), temporal: temporalAddressOf(temporal) }),
  given: {
    ...(postgres.kind === "given" && { postgres: postgres.address }),
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
// A client that does not read its answer must not keep this process alive.
setTimeout(() => process.exit(0), 500).unref();
