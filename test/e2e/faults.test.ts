import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { eventually } from "../eventually.ts";
import { containersOf, installationOf, pidOf, run, startStack, type TestStack } from "./stack.ts";

let stack: TestStack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack?.down();
});

test.each(["api", "worker", "temporal", "postgres"])(
  "kill -9 of %s in mid-run: the run succeeds, its container ran once, its output is whole",
  async (victim) => {
    const script = 'while read -r line; do echo "$line"; sleep 1; done < "$INPUT_PIPE" > "$OUTPUT_PIPE"';
    const file = join(stack.env["HOME"] ?? "", `${victim}.yml`);
    const buffers = { inputs: ["input"], outputs: ["output"] };
    const codespec = { kind: "job", image: inject("testImage"), buffers, command: ["bash", "-c", script] };
    await writeFile(file, JSON.stringify({ job: { codespec } }));
    const input = Array.from({ length: 20 }, (_, n) => `line ${n}\n`).join("");
    const since = Math.floor(Date.now() / 1000);
    const running = stack.tyger(["run", "exec", "-f", file], { input, limitMs: 120_000 });
    running.catch(() => undefined);
    await eventually(async () => (await containersOf(stack)).length === 1, { withinMs: 20_000 });
    process.kill(await pidOf(stack, victim), "SIGKILL");

    const { code, stdout, stderr } = await running;
    expect({ code, stdout: stdout.toString(), stderr }).toMatchObject({ code: 0, stdout: input });
    const filters = [`label=tyger-installation=${await installationOf(stack)}`, "event=start"];
    const until = Math.ceil(Date.now() / 1000) + 1;
    const events = ["events", "--since", `${since}`, "--until", `${until}`, ...filters.flatMap((f) => ["--filter", f])];
    const starts = await run("docker", events, { env: stack.env });
    expect(starts.stdout.toString().trim().split("\n")).toHaveLength(1);
    await eventually(async () => (await containersOf(stack)).length === 0, { withinMs: 60_000 });
    await eventually(() => pidOf(stack, victim), { withinMs: 30_000 });
  },
);

test("kill -9 of the pump in midstream fails the run: half an input never succeeds", async () => {
  const file = join(stack.env["HOME"] ?? "", "pump.yml");
  const buffers = { inputs: ["input"], outputs: ["output"] };
  const script = 'cat "$INPUT_PIPE" > "$OUTPUT_PIPE"';
  const codespec = { kind: "job", image: inject("testImage"), buffers, command: ["bash", "-c", script] };
  await writeFile(file, JSON.stringify({ job: { codespec } }));
  const id = (await stack.tyger(["run", "create", "-f", file])).stdout.toString().trim();
  await eventually(async () => (await containersOf(stack, Number(id))).length === 1, { withinMs: 20_000 });
  const pump = await eventually(async () => {
    const listed = await run("pgrep", ["-f", `pump.js ${stack.dataDir}/runs/${id}-`], { env: stack.env });
    return Number(listed.stdout.toString().trim().split("\n")[0]);
  });
  process.kill(pump, "SIGKILL");
  const watched = await stack.tyger(["run", "watch", id]);
  expect(JSON.parse(watched.stdout.toString().trim().split("\n").at(-1) ?? "")).toMatchObject({
    status: "Failed",
    statusReason: expect.stringContaining("streams the buffers"),
  });
  await eventually(async () => (await containersOf(stack, Number(id))).length === 0, { withinMs: 20_000 });
});
