import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import {
  PUMP_FILES,
  type BufferPlace,
  type PumpCommand,
  type PumpPipe,
  type PumpReport,
  type PumpResult,
  type PumpSpec,
} from "../../model/run/pump.ts";
import { eventually } from "../eventually.ts";
import { attemptFolder, startJob, type Job } from "./job.ts";

/** The pump as a command. */
export const PUMP_MAIN = join(import.meta.dirname, "../../pump/main.ts");

/** A real pump process on the folder of an attempt, and the jobs that use its pipes. */
export interface PumpProcess {
  folder: string;
  pid: number;
  exit: Promise<number | null>;
  /** The states that it has reported, oldest first. */
  states: () => PumpReport[];
  tell<C extends PumpCommand["command"]>(
    command: C,
    more?: Omit<Extract<PumpCommand, { command: C }>, "command">,
  ): void;
  result(): PumpResult | undefined;
  log(): string;
  startJob(script: string): Job;
  /** Runs the job, reports its end to the pump, and waits for the result. */
  runJob(script: string): Promise<{ code: number | null; stdout: string; stderr: string; result: PumpResult }>;
  rssMiB(): number;
  end(): void;
}

export async function startPump(
  buffers: BufferPlace,
  pipes: {
    inputs?: Record<string, string>;
    outputs?: Record<string, string>;
    /** Parameters whose pipes do not exist. */
    missing?: readonly string[];
  },
): Promise<PumpProcess> {
  const pipesOf = (direction: PumpPipe["direction"], buffers: Record<string, string> = {}): PumpPipe[] =>
    Object.entries(buffers).map(([parameter, bufferId]) => ({ parameter, direction, bufferId }));
  const spec: PumpSpec = {
    runId: 1,
    buffers,
    pipes: [...pipesOf("input", pipes.inputs), ...pipesOf("output", pipes.outputs)],
  };
  const attempt = attemptFolder(
    spec.pipes.map(({ parameter }) => parameter).filter((parameter) => !pipes.missing?.includes(parameter)),
  );
  const folder = attempt.path;
  writeFileSync(join(folder, PUMP_FILES.spec), JSON.stringify(spec));
  const log = openSync(join(folder, PUMP_FILES.log), "a");
  const child = spawn(process.execPath, [PUMP_MAIN, folder], { cwd: "/", env: {}, stdio: ["ignore", log, log] });
  closeSync(log);
  const exit = new Promise<number | null>((resolve) => void child.once("exit", resolve));
  const jobs: Job[] = [];

  const folderFd = await open(folder);
  const connecting = eventually(() => tryConnect(`/proc/self/fd/${folderFd.fd}/${PUMP_FILES.socket}`));
  // A pump that does not start must not stay behind.
  const socket = await connecting.catch((err: unknown) => {
    child.kill("SIGKILL");
    throw err;
  });
  let said = "";
  socket.on("data", (data: Buffer) => (said += data.toString())).on("error", () => {});
  await eventually(() => said.includes("\n"));
  await folderFd.close();

  const pump: PumpProcess = {
    folder,
    pid: child.pid ?? 0,
    exit,
    states: () =>
      said
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as PumpReport),
    tell: (command, more: object = {}) => void socket.write(`${JSON.stringify({ command, ...more })}\n`),
    result: () => {
      const path = join(folder, PUMP_FILES.result);
      return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as PumpResult) : undefined;
    },
    log: () => readFileSync(join(folder, PUMP_FILES.log), "utf8"),
    startJob: (script) => {
      const job = startJob(folder, script);
      jobs.push(job);
      return job;
    },
    async runJob(script) {
      const ended = await pump.startJob(script).ended;
      pump.tell("jobEnded", { cutOff: false });
      return { ...ended, result: await eventually(() => pump.result()) };
    },
    rssMiB: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024,
    end: () => {
      for (const job of jobs) job.end();
      child.kill("SIGKILL");
      socket.destroy();
      attempt.remove();
    },
  };
  return pump;
}

/** @throws Error when nothing is listening; between `bind` and `listen` the socket's file already exists. */
async function tryConnect(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, "connect");
  return socket;
}
