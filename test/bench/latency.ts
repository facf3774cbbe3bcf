import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import postgres from "postgres";
import { containersOf, createRun, enginesOf, type TestStack } from "../e2e/stack.ts";
import { eventually } from "../eventually.ts";
import { shell } from "./commands.ts";
import { quantile, type Comparison, type Limits } from "./measure.ts";

const IMAGE = "ubuntu";
/** Lines of one measurement; as many before them do not count, while the follower catches up. */
const LINES = 20;
/** The job's lines are the times at which they are written, in seconds since 1970. */
const TICKING = "while sleep 0.05; do echo $EPOCHREALTIME; done";
/** For one measurement. */
const LIMIT_MS = 30_000;

/** How long a line of a job takes to a follower of its log: the same job's, by our command and by the engine's. */
export function logLineComparison(stack: TestStack): Comparison {
  let job: { id: string; container: string } | undefined;
  const ticking = async () => {
    const id = await createRun(stack, IMAGE, TICKING, {});
    const container = await eventually(async () => (await containersOf(stack, Number(id)))[0]);
    return { id, container };
  };
  return {
    name: "log-line",
    unit: "ms",
    repeats: 7,
    async ours() {
      job ??= await ticking();
      return delayOf("tyger", ["run", "logs", "-f", job.id], stack);
    },
    async rival() {
      job ??= await ticking();
      return delayOf("docker", ["logs", "-f", job.container], stack);
    },
    rivalName: "docker logs -f",
    budget: { p50: 1 },
    allowanceMs: 2,
    async close() {
      if (job) await shell(`tyger run cancel ${job.id}`, stack.env);
    },
  };
}

/** The median delay of the lines that a command prints as they are written, in milliseconds. */
async function delayOf(program: string, args: string[], { env }: TestStack): Promise<number> {
  const now = wallClock();
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "ignore"], timeout: LIMIT_MS });
  const delays: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    delays.push(now() - Number(line) * 1000);
    // Lines that were written before arrive at once, and late.
    const isLive = delays.slice(-2 * LINES).every((ms) => ms < 1000);
    if (delays.length >= 2 * LINES && isLive) break;
  }
  if (!child.kill("SIGKILL")) throw new Error(`'${program} ${args.join(" ")}' did not follow the job's lines`);
  return quantile(delays.slice(-LINES), 0.5);
}

/** How long a state of a run takes from its row to a watch. */
export function watchLimits(stack: TestStack): Limits {
  return {
    name: "watch",
    repeats: 7,
    bounds: [{ what: "a state", unit: "ms", atMost: 100 }],
    async measure() {
      const id = await createRun(stack, IMAGE, "sleep 600", {});
      const now = wallClock();
      const child = spawn("tyger", ["run", "watch", id], {
        env: stack.env,
        stdio: ["ignore", "pipe", "ignore"],
        timeout: LIMIT_MS,
      });
      let seen = Number.NaN;
      let canceled: Promise<string> | undefined;
      for await (const line of createInterface({ input: child.stdout })) {
        const { status } = JSON.parse(line) as { status: string };
        if (status === "Running") canceled ??= shell(`tyger run cancel ${id}`, stack.env);
        if (status === "Canceling") seen = now();
      }
      await canceled;
      return [seen - (await cancelRequestedAt(stack, id))];
    },
  };
}

/** In milliseconds since 1970. */
async function cancelRequestedAt(stack: TestStack, id: string): Promise<number> {
  const client = postgres(`${(await enginesOf(stack)).postgres}postgres`, { max: 1 });
  try {
    const [row] = await client`select extract(epoch from cancel_requested_at) * 1000 as at from runs where id = ${id}`;
    return Number(row?.["at"]);
  } finally {
    await client.end();
  }
}

/** The time of this moment in milliseconds since 1970, finer than Date.now; for as long as no clock drifts. */
function wallClock(): () => number {
  const before = Date.now();
  let tick = before;
  while (tick === before) tick = Date.now();
  const origin = tick - performance.now();
  return () => origin + performance.now();
}
