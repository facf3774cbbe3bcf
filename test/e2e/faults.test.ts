import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { eventually } from "../eventually.ts";
import { containersOf, createRun, installationOf, pidOf, run, showRun, startStack, type TestStack } from "./stack.ts";

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

test("docker rm -f of a running job fails its run within a minute, and a marked line stands for its log", async () => {
  const script = 'echo lost; exec > "$OUT_PIPE"; echo part; sleep 600';
  const id = await createRun(stack, inject("testImage"), script, { outputs: ["out"] });
  const [container = ""] = await eventually(
    async () => {
      const found = await containersOf(stack, Number(id));
      return (await showRun(stack, id)).status === "Running" ? found : undefined;
    },
    { withinMs: 20_000 },
  );
  await run("docker", ["rm", "--force", container], { env: stack.env });
  const ended = await eventually(
    async () => {
      const shown = await showRun(stack, id);
      return shown.status === "Running" ? undefined : shown;
    },
    { withinMs: 60_000 },
  );
  expect(ended.status).toBe("Failed");
  expect(ended.statusReason).toMatch(
    /^(The container disappeared; its exit code is unknown|Main exited with code 137: .*)$/,
  );
  const logs = async () => (await stack.tyger(["run", "logs", id])).stdout.toString();
  await eventually(async () => (await logs()).includes("The container was removed"), { withinMs: 60_000 });
  expect(await logs()).toBe("[tyger] The container was removed before its log was archived\n");
});

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
