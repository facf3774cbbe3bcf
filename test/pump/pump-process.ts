import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { localPump } from "../../docker/pump/pump-link.ts";
import type { PumpChannel } from "../../model/ports/pump-channel.ts";
import {
  PUMP_FILES,
  pipeFileOf,
  type BufferPlace,
  type PumpApi,
  type PumpCommand,
  type PumpPipe,
  type PumpReport,
  type PumpResult,
  type PumpSpec,
} from "../../model/run/pump.ts";
import { eventually } from "../eventually.ts";
import { attemptFolder, startJob, type Job } from "./job.ts";
import type { OpenedPump } from "./pump-api.ts";
import type { World } from "./world.ts";

/** The pump as a command. */
export const PUMP_MAIN = join(import.meta.dirname, "../../pump/main.ts");

/** How a pump reaches the buffers, and how it is spoken to. */
export type Way = "store" | "urls";
export const CHANNELS = ["the local socket", "the API"] as const;
export type Channel = (typeof CHANNELS)[number];

/** A real pump process on the folder of an attempt, and the jobs that use its pipes. */
export interface PumpProcess {
  folder: string;
  pid: number;
  runId: number;
  exit: Promise<number | null>;
  channel: PumpChannel;
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

export interface Pipes {
  inputs?: Record<string, string>;
  outputs?: Record<string, string>;
  /** Parameters whose pipes do not exist. */
  missing?: readonly string[];
  /** Of those, parameters that have a file instead. */
  replaced?: readonly string[];
  /** As in a pod: the pump names its pipes by their paths, and also leaves its result in the file `termination`. */
  inPod?: boolean;
}

/** `by`: how it reaches the buffers, and how it is spoken to. */
export async function startPump(
  { api, plane }: World,
  by: { way: Way; channel: Channel },
  given: Pipes,
): Promise<PumpProcess> {
  const pipesOf = (direction: PumpPipe["direction"], buffers: Record<string, string> = {}): PumpPipe[] =>
    Object.entries(buffers).map(([parameter, bufferId]) => ({ parameter, direction, bufferId }));
  const pipes = [...pipesOf("input", given.inputs), ...pipesOf("output", given.outputs)];
  const attempt = attemptFolder(
    pipes.map(({ parameter }) => parameter).filter((parameter) => !given.missing?.includes(parameter)),
  );
  const folder = attempt.path;
  for (const parameter of given.replaced ?? [])
    writeFileSync(join(folder, PUMP_FILES.pipes, pipeFileOf(parameter)), "x");
  const pathOf = ({ parameter }: PumpPipe): string => join(folder, PUMP_FILES.pipes, pipeFileOf(parameter));
  const opened = await api.open(pipes);
  const access = { ...opened.access, tokenFile: "token" } satisfies PumpApi;
  writeFileSync(join(folder, "token"), opened.token, { mode: 0o600 });
  const places: Record<Way, BufferPlace> = {
    store: { storeDir: join(plane.dir, "buffers") },
    urls: { api: access, accessTtl: "01:00:00" },
  };
  const spec: PumpSpec = {
    runId: opened.pump.run.id,
    buffers: places[by.way],
    pipes: given.inPod ? pipes.map((pipe) => ({ ...pipe, path: pathOf(pipe) })) : pipes,
    ...(by.channel === "the API" && { channel: access }),
    ...(given.inPod && { terminationFile: "termination" }),
  };
  writeFileSync(join(folder, PUMP_FILES.spec), JSON.stringify(spec));
  const log = openSync(join(folder, PUMP_FILES.log), "a");
  const child = spawn(process.execPath, [PUMP_MAIN, folder], { cwd: "/", env: {}, stdio: ["ignore", log, log] });
  closeSync(log);
  const exit = new Promise<number | null>((resolve) => void child.once("exit", resolve));
  const jobs: Job[] = [];

  const { channel, resultOf } = by.channel === "the API" ? opened : localEndOf(folder);
  const states: PumpReport[] = [];
  // A pump that does not start must not stay behind.
  const link = await eventually(() => channel.follow((report) => states.push(report))).catch((err: unknown) => {
    child.kill("SIGKILL");
    throw err;
  });
  // One that waits for the API has not begun.
  if (by.channel === "the local socket" || api.isListening) await eventually(() => states.length > 0);

  const pump: PumpProcess = {
    folder,
    pid: child.pid ?? 0,
    runId: spec.runId,
    exit,
    channel,
    states: () => states,
    // As it is given.
    tell: (command, more: object = {}) => link.send({ command, ...more } as PumpCommand),
    result: resultOf,
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
      link.close();
      attempt.remove();
    },
  };
  return pump;
}

/** A socket and a file in the folder. */
const localEndOf = (folder: string): Pick<OpenedPump, "channel" | "resultOf"> => ({
  channel: localPump(folder),
  resultOf: () => {
    const path = join(folder, PUMP_FILES.result);
    return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as PumpResult) : undefined;
  },
});
