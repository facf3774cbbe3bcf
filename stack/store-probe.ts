import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { z } from "zod";
import type { LocationConfig } from "../config/locations.ts";

/** The bucket, on stdin. */
export const storeProbeSchema = z.object({ bucket: z.string(), prefix: z.string(), endpoint: z.string().optional() });

const line = z.object({
  isWarning: z.boolean(),
  message: z.string(),
  facts: z.record(z.string(), z.union([z.string(), z.number()])),
});
const answerSchema = z.union([z.object({ problem: z.string() }), z.object({ lines: z.array(line) })]);
export type StoreProbeAnswer = z.infer<typeof answerSchema>;

const PROBE_MS = 90_000;

/**
 * Tries out a bucket. @returns a line for each of its settings
 * @throws Error in one sentence: it does not exist, or may not be used
 */
export async function probeStore(
  location: Extract<LocationConfig, { bucket: string }>,
  { node, dist, env }: { node: string; dist: string; env: Record<string, string> },
): Promise<string[]> {
  const { bucket, prefix, endpoint } = location;
  const child = spawn(node, [join(dist, "store-probe.js")], {
    env,
    stdio: ["pipe", "pipe", "pipe"],
    timeout: PROBE_MS,
    killSignal: "SIGKILL",
  });
  child.stdin.on("error", () => {});
  child.stdin.end(JSON.stringify({ bucket, prefix, endpoint }));
  const failed = new Promise<never>((_, reject) => child.once("error", reject));
  const [answered, said] = await Promise.race([Promise.all([text(child.stdout), text(child.stderr)]), failed]);
  const answer = read(answered);
  if (answer === undefined) {
    throw new Error(`The bucket '${bucket}' could not be tried out: ${said.trim().split("\n").at(-1) ?? ""}`);
  }
  if ("problem" in answer) throw new Error(answer.problem);
  return answer.lines.map(({ message, facts }) => {
    const details = Object.entries(facts).map(([name, value]) => `${name} ${value}`);
    return `bucket '${bucket}': ${[message, ...details].join(", ")}`;
  });
}

function read(answered: string): StoreProbeAnswer | undefined {
  try {
    return answerSchema.parse(JSON.parse(answered));
  } catch {
    return undefined;
  }
}
