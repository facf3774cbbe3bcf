import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { inject } from "vitest";
import { eventually } from "../eventually.ts";
import { run, type CommandResult } from "./stack.ts";

export const ENGINE_ENV = { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin" };

export const docker = (host: string, args: readonly string[]): Promise<CommandResult> =>
  run("docker", ["--host", host, ...args], { env: ENGINE_ENV });

/** An engine of a test's own, which the test must stop. */
export interface TestEngine {
  /** Ends it, and with it its containers. */
  stop(): Promise<void>;
  /** Ends it by SIGKILL. Its containers continue, if it was started with `--live-restore`. */
  kill(): Promise<void>;
  /** Resolves when it answers again. */
  start(): Promise<void>;
}

/**
 * Starts another engine, that of the tests keeps running: in a network of its own, for without a bridge it would take
 * away the one that it finds. It gets the test image.
 */
export async function startEngine(host: string, logFile: string, command: readonly string[]): Promise<TestEngine> {
  let child: ChildProcess | undefined;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child?.once("exit", resolve));
    child.kill(signal);
    await ended;
  };
  const engine: TestEngine = {
    async start() {
      const log = openSync(logFile, "a");
      child = spawn("unshare", ["--net", ...command], { stdio: ["ignore", log, log], env: ENGINE_ENV, cwd: "/" });
      closeSync(log);
      const answers = async (): Promise<boolean> => (await docker(host, ["info"])).code === 0;
      await eventually(answers, { withinMs: 30_000, everyMs: 200 }).catch(async (err: unknown) => {
        throw new Error(`The engine did not start: ${(await readFile(logFile, "utf8")).slice(-2000)}`, { cause: err });
      });
    },
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
  };
  try {
    await engine.start();
    const image = `${logFile}.tar`;
    await run("docker", ["save", "--output", image, inject("testImage")], { env: ENGINE_ENV });
    const { code, stderr } = await docker(host, ["load", "--input", image]);
    if (code !== 0) throw new Error(`The engine did not take the image: ${stderr}`);
    return engine;
  } catch (err) {
    await engine.stop();
    throw err;
  }
}
