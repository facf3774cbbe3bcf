import { spawn } from "node:child_process";
import { closeSync, openSync, renameSync, statSync } from "node:fs";
import { messageOf } from "../../model/errors.ts";
import { poll } from "../../waiting/bounded.ts";
import { doubling, retry, type Clock } from "../../waiting/retry.ts";
import type { ProcessState, ProcessView } from "./control.ts";
import { endProcess, identify, type ProcessIdentity } from "../host/processes.ts";
import type { ProcessSpec } from "./process-spec.ts";

/** Backoff after an exit: short at first, because a killed process needs no wait; reset after a stable run. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;
const STABLE_MS = 20_000;
const READY_POLL_MS = 50;
/** A longer log file is renamed at the next start; one older generation is kept. */
const LOG_LIMIT_BYTES = 20 * 1024 * 1024;

interface KeptProcessOptions {
  onChange: () => void;
  log: (line: string) => void;
  clock?: Clock;
}

/** Restarts one process whenever it ends, until `stop()`, with pauses that keep a broken one from spinning. */
export class KeptProcess {
  readonly #spec: ProcessSpec;
  readonly #onChange: () => void;
  readonly #log: (line: string) => void;
  readonly #clock: Clock | undefined;
  #state: ProcessState = "starting";
  #identity: ProcessIdentity | undefined;
  #restarts = 0;
  #lastExit: string | undefined;
  #readyOnce = Promise.withResolvers<void>();
  #stopping = new AbortController();
  #loop: Promise<void> | undefined;

  /** `onChange` is called synchronously whenever the pid changes, so that the pid is recorded before the process acts. */
  constructor(spec: ProcessSpec, { onChange, log, clock }: KeptProcessOptions) {
    this.#spec = spec;
    this.#onChange = onChange;
    this.#log = log;
    this.#clock = clock;
  }

  /** Resolves when the process is ready for the first time. */
  start(): Promise<void> {
    this.#loop ??= this.#keep();
    return this.#readyOnce.promise;
  }

  /** Ends the process and stops restarting it. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    if (this.#identity) await endProcess(this.#identity, this.#spec.stopSignal, this.#spec.graceMs);
    await this.#loop;
    this.#state = "stopped";
  }

  get identity(): ProcessIdentity | undefined {
    return this.#identity;
  }

  view(): ProcessView {
    const { name, logFile } = this.#spec;
    return {
      name,
      state: this.#state,
      ...(this.#identity && { pid: this.#identity.pid }),
      restarts: this.#restarts,
      ...(this.#lastExit && { lastExit: this.#lastExit }),
      logFile,
    };
  }

  async #keep(): Promise<void> {
    const { signal } = this.#stopping;
    const live = async (_attempt: number, recovered: () => void): Promise<never> => {
      const startedMs = Date.now();
      this.#state = "starting";
      await this.#spec.prepare?.();
      signal.throwIfAborted();
      this.#lastExit = await this.#runOnce();
      if (Date.now() - startedMs > STABLE_MS) recovered();
      throw new Error(this.#lastExit);
    };
    const onRetry = (err: unknown): void => {
      this.#lastExit = messageOf(err);
      this.#log(`${this.#spec.name}: ${this.#lastExit}`);
      this.#restarts++;
      this.#state = "waiting";
    };
    try {
      await retry(live, { pauses: doubling(FIRST_WAIT_MS, LONGEST_WAIT_MS), signal, onRetry, clock: this.#clock });
    } catch (err) {
      if (!signal.aborted) throw err;
    }
  }

  /** Runs the process once; returns how it ended. */
  async #runOnce(): Promise<string> {
    const { command, args, env, cwd, user, logFile } = this.#spec;
    const log = this.#openLog(logFile);
    const child = spawn(command, args, { env, cwd, ...user, stdio: ["ignore", log ?? "ignore", log ?? "ignore"] });
    if (log !== undefined) closeSync(log);
    const exit = new Promise<string>((resolve) => {
      child.once("error", (err) => resolve(err.message));
      child.once("exit", (code, signal) => resolve(signal ? `ended by ${signal}` : `ended with exit code ${code}`));
    });
    try {
      this.#identity = child.pid === undefined ? undefined : identify(child.pid);
    } catch (err) {
      // One that could not be recorded could not be ended either.
      child.kill("SIGKILL");
      throw err;
    }
    this.#onChange();
    const gone = new AbortController();
    const ready = child.pid === undefined ? undefined : this.#awaitReady(child.pid, gone.signal);
    const how = await exit;
    gone.abort();
    await ready;
    this.#identity = undefined;
    this.#onChange();
    return how;
  }

  /** Undefined when it cannot be opened: on a full disk the process starts without its log. */
  #openLog(file: string): number | undefined {
    try {
      rotate(file);
      return openSync(file, "a", 0o600);
    } catch (err) {
      this.#log(`${this.#spec.name} has no log: ${messageOf(err)}`);
      return undefined;
    }
  }

  async #awaitReady(pid: number, gone: AbortSignal): Promise<void> {
    const look = async (): Promise<true | undefined> => (await this.#spec.isReady(pid).catch(() => false)) || undefined;
    if (!(await poll(look, { everyMs: READY_POLL_MS, signal: gone })) || gone.aborted) return;
    this.#state = "ready";
    this.#readyOnce.resolve();
    await this.#spec.whenReady?.().catch((err: unknown) => this.#log(`${this.#spec.name}: ${messageOf(err)}`));
  }
}

function rotate(logFile: string): void {
  const size = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_LIMIT_BYTES) renameSync(logFile, `${logFile}.1`);
}
