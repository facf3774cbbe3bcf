import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { elapsedText, ProgressMeter } from "../../../cli/terminal/progress-meter.ts";
import { writeAll } from "../../../cli/terminal/host.ts";
import { TerminalOutput } from "../../../cli/terminal/terminal-output.ts";
import { FakeServer } from "../../fakes/tyger-server.ts";
import { startTyger, tyger } from "../command-line.ts";
import { eventually } from "../../eventually.ts";

/** The final screen: each line as it was last drawn. */
function screenOf(written: string): string[] {
  return written.split("\n").map((line) => line.split("\r\u001B[2K").at(-1) ?? "");
}

function terminal(columns = 40): { output: TerminalOutput; written: () => string } {
  const screen = new PassThrough();
  const chunks: Buffer[] = [];
  screen.on("data", (chunk: Buffer) => chunks.push(chunk));
  return { output: new TerminalOutput(screen, () => columns), written: () => Buffer.concat(chunks).toString() };
}

describe("the status line", () => {
  test("stays below everything that is written", async () => {
    const { output, written } = terminal();
    await writeAll(output, "first\n");
    output.showStatus("working");
    await writeAll(output, "second\n");
    expect(screenOf(written())).toEqual(["first", "second", "working"]);
    output.showStatus("");
    expect(screenOf(written())).toEqual(["first", "second", ""]);
  });

  test("waits for the end of a line that is written in parts", async () => {
    const { output, written } = terminal();
    output.showStatus("working");
    await writeAll(output, "half ");
    output.showStatus("still working");
    expect(screenOf(written())).toEqual(["half "]);
    await writeAll(output, "done\n");
    expect(screenOf(written())).toEqual(["half done", "still working"]);
  });

  test("stays below what other streams write to the same terminal", async () => {
    const screen = new PassThrough();
    const chunks: Buffer[] = [];
    screen.on("data", (chunk: Buffer) => chunks.push(chunk));
    const output = new TerminalOutput(screen, () => 40);
    const results = output.besides(screen);
    output.showStatus("working");
    await writeAll(results, "one\ntw");
    output.showStatus("still working");
    await writeAll(results, "o\n");
    expect(screenOf(Buffer.concat(chunks).toString())).toEqual(["one", "two", "still working"]);
  });

  test("is removed from all its rows on a terminal that became narrower", () => {
    let columns = 40;
    const screen = new PassThrough();
    const output = new TerminalOutput(screen, () => columns);
    output.showStatus("x".repeat(25));
    columns = 10;
    output.showStatus("y");
    expect(String(screen.read())).toBe(`${"x".repeat(25)}\u001B[2A\r\u001B[Jy`);
  });

  test.each([
    [30, "run 7  Running  0:07  in 12MiB"],
    [29, "run 7  Running  0:07"],
    [20, "run 7  Running  0:07"],
    [19, "run 7  Running"],
    [7, "run 7"],
    [4, "run "],
    [0, ""],
  ])("with room for %i columns shows the parts that fit", (room, shown) => {
    const { output, written } = terminal(room + 1);
    output.showStatus("run 7  Running  0:07  in 12MiB");
    expect(written()).toBe(shown);
  });

  test("is cut to a narrow terminal, and never fills its last column", () => {
    const { output, written } = terminal(10);
    output.showStatus("0123456789abcdef");
    expect(screenOf(written())).toEqual(["012345678"]);
  });
});

test("a meter shows the total and the rate of the last seconds", () => {
  const meter = new ProgressMeter();
  expect(meter.textAt(0)).toBe("0B  0B/s");
  meter.add(2 * 2 ** 20);
  expect(meter.textAt(1000)).toBe("2MiB  2MiB/s");
  meter.textAt(2000);
  expect(meter.textAt(4000)).toBe("2MiB  0B/s");
});

test.each([
  [0, "0:00"],
  [61_999, "1:01"],
  [3_723_000, "1:02:03"],
])("%d ms are shown as %s", (ms, text) => {
  expect(elapsedText(ms)).toBe(text);
});

describe("run exec", () => {
  let server: FakeServer;
  beforeEach(async () => {
    server = await new FakeServer().start();
    server.codespecs.set("cat", {
      name: "cat",
      kind: "job",
      image: "x",
      buffers: { inputs: ["in"], outputs: ["out"] },
    });
  });
  afterEach(() => server.stop());

  test("shows a status line on a terminal while it waits, and removes it at the end", async () => {
    const stdin = new PassThrough();
    const running = await startTyger(["run", "exec", "-c", "cat"], { server, stdin, terminal: true });
    await eventually(() => /run 7 {2}Running {2}\d:\d\d/.test(running.stderr()));
    stdin.end("x");
    expect(await running.exitCode).toBe(0);
    expect(screenOf(running.stderr()).at(-1)).toBe("");
    expect(running.stdout().toString()).toBe("x");
  });

  test("shows no status line without a terminal", async () => {
    const { stderr } = await tyger("run exec -c cat", { server, stdin: "x" });
    expect(stderr).not.toContain("\u001B");
    expect(stderr).not.toMatch(/run 7 {2}/);
  });

  test("has no colors with NO_COLOR", async () => {
    const { stderr } = await tyger("run exec -c cat", { server, stdin: "x", terminal: true, noColor: true });
    expect(stderr.replaceAll("\r\u001B[2K", "")).not.toContain("\u001B");
    expect((await tyger("--help", { terminal: true, noColor: true })).stdout).not.toContain("\u001B");
  });
});
