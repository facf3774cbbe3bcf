import { spawn } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { CodedError, errnoOf, messageOf, type ErrorCode } from "../../model/errors.ts";
import { PUMP_FILES, TRY_AGAIN_EXIT } from "../../model/run/pump.ts";
import { poll } from "../../waiting/bounded.ts";
import type { PumpLink } from "../../model/ports/pump-channel.ts";
import { localPump } from "./pump-link.ts";

/** The Node binary that runs the pump, and its main file. */
export interface PumpCommandLine {
  node: string;
  main: string;
}

/**
 * SIGUSR1 must not open a debugger. A small young generation, because streams make little but large garbage, which
 * otherwise piles up.
 */
const NODE_FLAGS = ["--disable-sigusr1", "--max-semi-space-size=1"];
const READY_MS = 20_000;
const LOOK_MS = 10;
/** Why a process cannot be started for the moment. */
const PASSING: ReadonlySet<string | undefined> = new Set(["EAGAIN", "EMFILE", "ENFILE", "ENOMEM"]);

/**
 * Starts the pump of `folder` in a session of its own, so that it outlives this one, and waits until it listens. It gets
 * the folder as its only argument and none of our environment.
 * @throws CodedError LaunchFailed with the last line of its log; Unavailable when another attempt can succeed
 */
export async function startPump({ node, main }: PumpCommandLine, folder: string): Promise<void> {
  const log = await open(join(folder, PUMP_FILES.log), "a");
  let failure: string | undefined;
  let code: ErrorCode = "LaunchFailed";
  try {
    const child = spawn(node, [...NODE_FLAGS, main, folder], {
      cwd: "/",
      env: {},
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    });
    child.once("error", (err) => {
      failure = messageOf(err);
      if (PASSING.has(errnoOf(err))) code = "Unavailable";
    });
    child.once("exit", (exitCode, signal) => {
      failure ??= `it exited with ${signal ?? exitCode}`;
      if (exitCode === TRY_AGAIN_EXIT) code = "Unavailable";
    });
    child.unref();
  } finally {
    await log.close();
  }
  const look = async (): Promise<PumpLink | "failed" | undefined> =>
    (await localPump(folder).follow(() => {})) ?? (failure === undefined ? undefined : "failed");
  const seen = await poll(look, { everyMs: LOOK_MS, withinMs: READY_MS });
  if (typeof seen === "object") return seen.close();
  const said = await readFile(join(folder, PUMP_FILES.log), "utf8").catch(() => "");
  const lastWords = said.trim().split("\n").at(-1)?.slice(-500);
  const reason = [failure ?? `it did not listen within ${READY_MS / 1000} s`, lastWords].filter(Boolean).join(": ");
  throw new CodedError(code, `The process that streams the buffers did not start: ${reason}`);
}
