import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../eventually.ts";
import { containersOf, type TestStack } from "../e2e/stack.ts";
import { bucketJobComparison } from "./bucket-job.ts";
import { shell } from "./commands.ts";
import { controlPlaneComparison, waitingRunsLimits } from "./control-plane.ts";
import { logLineComparison, watchLimits } from "./latency.ts";
import { manyRunsComparisons, manyRunsLimits, type RunStores } from "./many-runs.ts";
import { timed, type Comparison, type Limits } from "./measure.ts";
import { memoryLimits } from "./memory.ts";

export interface BenchPlace {
  stack: TestStack;
  /** A folder for what the comparisons need. */
  dir: string;
  /** The size of the large transfers. */
  bytes: number;
  stores: RunStores;
}

const IMAGE = "ubuntu";
/** The least that shows a run: one request, whose answer is printed. */
const SHOWS_RUN = `
  require("node:http")
    .get({ socketPath: process.argv[2], path: "/runs/1?api-version=1.0" }, (answer) => answer.pipe(process.stdout));
`;
const CAT = 'cat "$INPUT_PIPE" > "$OUTPUT_PIPE"';
/** How long `tyger run cancel` leaves a job to end by itself. */
const STOP_GRACE_MS = 1000;

/** Measurements with a bound of their own. */
export const limitsOf = ({ stack, dir, bytes, stores }: BenchPlace): Limits[] => [
  watchLimits(stack),
  memoryLimits(stack, dir, bytes),
  waitingRunsLimits(stack, dir),
  manyRunsLimits(stores),
];

function socketOf({ env }: TestStack): string {
  const login = readFileSync(env["TYGER_CACHE_FILE"] ?? "", "utf8");
  const [, socket] = /http\+unix:\/\/(.+):/.exec(login) ?? [];
  if (socket === undefined) throw new Error(`The login names no socket: ${login}`);
  return socket;
}

/** Each budget of the design that this machine can show, with its rival. */
export function comparisonsOf({ stack, dir, bytes, stores }: BenchPlace): Comparison[] {
  const sh = (line: string): Promise<string> => shell(line, stack.env);
  const file = (name: string, command: string[], buffers: object): string => {
    const path = join(dir, `${name}.yml`);
    writeFileSync(path, JSON.stringify({ job: { codespec: { image: IMAGE, command, buffers } } }));
    return path;
  };
  const cat = file("cat", ["bash", "-c", CAT], { inputs: ["input"], outputs: ["output"] });
  const idle = file("idle", ["sleep", "600"], {});
  const quick = file("quick", ["true"], {});
  const many = (command: string): string => `seq 100 | xargs -P8 -I{} ${command} > /dev/null 2>&1`;
  const data = join(dir, "data");
  const rateOf = async (line: string): Promise<number> => bytes / 2 ** 20 / ((await timed(() => sh(line))) / 1000);
  const makeData = async (round: number): Promise<void> => {
    if (round < 0) await sh(`head -c ${bytes} /dev/urandom > ${data}`);
  };
  const startUp = (
    name: string,
    line: string,
    [program, rivalName]: [program: string, called: string],
  ): Comparison => ({
    name,
    unit: "ms",
    repeats: 21,
    ours: () => timed(() => sh(line)),
    rival: () => timed(() => sh(`${process.execPath} ${program}`)),
    rivalName,
    budget: { p50: 1.5 },
  });
  const asking = join(dir, "show.cjs");
  writeFileSync(asking, SHOWS_RUN);

  return [
    startUp("version", "tyger --version", ["-e 0", "node -e 0"]),
    startUp("show", "tyger run show 1", [`${asking} ${socketOf(stack)}`, "a Node program with the same request"]),
    {
      name: "small-job",
      unit: "ms",
      repeats: 21,
      ours: () => timed(() => sh(`echo x | tyger run exec -f ${cat} 2> /dev/null`)),
      rival: () => timed(() => sh(`echo x | docker run -i --rm ${IMAGE} cat`)),
      rivalName: "docker run -i --rm",
      budget: { p50: 1.6, p95: 2 },
    },
    bucketJobComparison(stack, cat),
    {
      name: "many-jobs",
      unit: "runs/s",
      repeats: 5,
      ours: async () => 100_000 / (await timed(() => sh(many(`tyger run exec -f ${quick}`)))),
      rival: async () => 100_000 / (await timed(() => sh(many(`docker run --rm ${IMAGE} true`)))),
      rivalName: "xargs -P8 docker run",
      budget: { p50: 0.7 },
    },
    {
      name: "stream",
      unit: "MiB/s",
      repeats: 5,
      ours: async (round) => {
        await makeData(round);
        return rateOf(`tyger run exec --logs -f ${cat} < ${data} > /dev/null`);
      },
      rival: () => rateOf(`docker run -i --rm ${IMAGE} cat < ${data} > /dev/null`),
      rivalName: "docker run -i cat",
      budget: { p50: 4 },
    },
    ...bufferComparisons({ stack, dir }, data, makeData, rateOf),
    {
      name: "cancel",
      unit: "ms",
      repeats: 7,
      ours: async () => {
        const id = (await sh(`tyger run create -f ${idle}`)).trim();
        await eventually(async () => (await sh(`tyger run show ${id}`)).includes('"Running"'));
        return timed(async () => {
          await sh(`tyger run cancel ${id}`);
          await eventually(async () => (await containersOf(stack, Number(id))).length === 0, { everyMs: 5 });
        });
      },
      rival: async () => {
        const id = (await sh(`docker run -d --rm ${IMAGE} sleep 600`)).trim();
        return timed(async () => {
          await sh(`docker kill ${id}`);
          await eventually(async () => (await sh(`docker ps -aq --no-trunc --filter id=${id}`)) === "", { everyMs: 5 });
        });
      },
      rivalName: "docker kill",
      budget: { p50: 1.2 },
      allowanceMs: STOP_GRACE_MS,
    },
    logLineComparison(stack),
    controlPlaneComparison(stack, dir, "control-plane"),
    controlPlaneComparison(stack, dir, "control-plane-steps"),
    ...manyRunsComparisons(stores),
  ];
}

/** `buffer write` and `buffer read` against curl and a server that only stores and serves. */
function bufferComparisons(
  { stack, dir }: Pick<BenchPlace, "stack" | "dir">,
  data: string,
  makeData: (round: number) => Promise<void>,
  rateOf: (line: string) => Promise<number>,
): Comparison[] {
  const socket = join(dir, "plain.sock");
  let server: ChildProcess | undefined;
  const serve = async (): Promise<void> => {
    if (server) return;
    const main = join(import.meta.dirname, "plain-server.ts");
    server = spawn(process.execPath, [main, dir, socket], { stdio: ["ignore", "pipe", "inherit"] });
    await once(server.stdout ?? server, "data");
  };
  let buffer = "";
  const curl = `curl -sSf --unix-socket ${socket}`;
  return [
    {
      name: "buffer-write",
      unit: "MiB/s",
      repeats: 5,
      ours: async (round) => {
        await makeData(round);
        buffer = (await shell("tyger buffer create", stack.env)).trim();
        return rateOf(`tyger buffer write ${buffer} -i ${data} 2> /dev/null`);
      },
      rival: async (round) => {
        await serve();
        return rateOf(`${curl} -T ${data} http://plain/blob-${round}`);
      },
      rivalName: "curl PUT",
      budget: { p50: 0.6 },
    },
    {
      name: "buffer-read",
      unit: "MiB/s",
      repeats: 5,
      ours: async () => {
        if (buffer === "") {
          await makeData(-1);
          buffer = (await shell("tyger buffer create", stack.env)).trim();
          await shell(`tyger buffer write ${buffer} -i ${data}`, stack.env);
        }
        return rateOf(`tyger buffer read ${buffer} 2> /dev/null > /dev/null`);
      },
      rival: async (round) => {
        await serve();
        if (round < 0) await shell(`${curl} -T ${data} http://plain/blob-read`, stack.env);
        return rateOf(`${curl} http://plain/blob-read > /dev/null`);
      },
      rivalName: "curl GET",
      budget: { p50: 0.5 },
      close: async () => {
        if (server?.exitCode === null) {
          server.kill();
          await once(server, "exit");
        }
      },
    },
  ];
}
