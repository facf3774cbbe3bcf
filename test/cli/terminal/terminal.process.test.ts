import { spawn } from "node:child_process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeLogin } from "../../../client/login-writer.ts";
import { eventually, stays } from "../../eventually.ts";
import { FakeServer } from "../../fakes/tyger-server.ts";

let server: FakeServer;
/** All that was sent to the terminal. */
let screen: string;
beforeEach(async () => {
  server = await new FakeServer().start();
  server.codespecs.set("quiet", { name: "quiet", kind: "job", image: "x", buffers: { outputs: ["out"] } });
  screen = "";
  server.job = async () => {
    await eventually(() => drawn(screen).some((status) => status.includes("Running")));
    return { output: Buffer.from("the result\n") };
  };
  writeLogin(server.loginFile, { serverUrl: `http+unix://${server.socketPath}:` });
});
afterEach(() => server.stop());

/** Runs the program on a terminal of its own, for stdout and stderr. */
async function onTerminal(columns: number, line: string, env: Record<string, string> = {}): Promise<void> {
  const program = `${process.execPath} ${new URL("../../../cli/main.ts", import.meta.url).pathname}`;
  const child = spawn("script", ["-qec", `stty cols ${columns} -onlcr; ${program} ${line}`, "/dev/null"], {
    env: { PATH: process.env["PATH"] ?? "", TERM: "xterm", TYGER_CACHE_FILE: server.loginFile, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const chunk of child.stdout.setEncoding("utf8") as AsyncIterable<string>) screen += chunk;
}

/** Every status line that was shown, without its time. */
const drawn = (output: string): string[] =>
  output
    .replaceAll("\u001B[2K", "\n")
    .split(/[\r\n]/)
    .filter((line) => line.startsWith("run 7 "))
    .map((line) => line.replace(/[0-9]+:[0-9]{2}$/, "TIME"));
/** The final screen: each line as it was last drawn. */
const screenOf = (output: string): string[] => output.split("\n").map((line) => line.split("\r\u001B[2K").at(-1) ?? "");

test("the output of a run is on lines of its own when a status is shown on the same terminal", async () => {
  await onTerminal(80, "run exec -c quiet", { NO_COLOR: "1" });
  expect(screenOf(screen)).toContain("the result");
  expect(drawn(screen)).toContain("run 7  Running  TIME");
  // oxlint-disable-next-line no-control-regex -- colors are control characters
  expect(screen).not.toMatch(/\u001B\[[0-9]*m/);
});

test.each([
  [80, {}, "run 7  Running  TIME"],
  [20, {}, "run 7  Running"],
  [0, {}, "run 7  Running  TIME"],
  [0, { COLUMNS: "20" }, "run 7  Running"],
  [20, { COLUMNS: "80" }, "run 7  Running"],
])("a terminal that reports %i columns, with %o, shows as much of the status as fits", async (columns, env, status) => {
  await onTerminal(columns, "run exec -c quiet", env);
  expect(drawn(screen).find((text) => text.includes("Running"))).toBe(status);
  expect(screen).toContain("\u001B[32mINF");
});

test("a dumb terminal is sent no control sequences, and no status", async () => {
  server.job = async () => {
    // Longer than it takes until another terminal is shown a status.
    await stays(() => drawn(screen).length === 0, { looks: 16, everyMs: 50 });
    return { output: Buffer.from("the result\n") };
  };
  await onTerminal(80, "run exec -c quiet", { TERM: "dumb" });
  await onTerminal(80, "--help", { TERM: "dumb" });
  expect(screen).toMatch(/INF Run created runId=7\n/);
  expect(screen).toMatch(/^the result$/m);
  expect(screen).toContain("USAGE tyger");
  expect(screen).not.toContain("\u001B");
  expect(drawn(screen)).toEqual([]);
});
