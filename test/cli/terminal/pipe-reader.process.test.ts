import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeLogin } from "../../../client/login-writer.ts";
import { FakeServer } from "../../fakes/tyger-server.ts";

const MAIN = new URL("../../../cli/main.ts", import.meta.url).pathname;

let server: FakeServer;
let folder: string;
beforeEach(async () => {
  server = await new FakeServer().start();
  server.run = { id: 7, status: "Running" };
  server.codespecs.set("source", { name: "source", kind: "job", image: "x", buffers: { outputs: ["out"] } });
  // A buffer that has one block, and that is not complete.
  await server.fill("b1", Buffer.from("some bytes"));
  server.blobs.delete("b1/.bufferend");
  server.blobs.delete("b1/00/001");
  server.on("GET", /^\/runs\/7\/logs/, (_, response) => {
    response.write("2024-01-01T00:00:00.000000001Z one\n");
  });
  writeLogin(server.loginFile, { serverUrl: `http+unix://${server.socketPath}:` });
  folder = await mkdtemp(join(tmpdir(), "tyger-pipe-"));
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

/** Runs a shell line to its end, which it would not reach if `tyger` did not notice. */
async function shell(line: string): Promise<{ stdout: string; stderr: string }> {
  const program = `tyger() { "${process.execPath}" "${MAIN}" "$@"; }`;
  const child = spawn("bash", ["--norc", "-c", `${program}; ${line}`], {
    env: { PATH: process.env["PATH"] ?? "", TYGER_CACHE_FILE: server.loginFile },
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  await once(child, "close");
  return { stdout, stderr };
}

test.each([
  ["tyger run watch 7 | head -1", '{"id":7,"status":"Running"}\n'],
  ["tyger run logs 7 -f | head -1", "one\n"],
  ["tyger run logs 7 | head -1", "2024-01-01T00:00:00.000000001Z one\n"],
  ["tyger buffer read b1 2>/dev/null | head -c1", "s"],
  ["mkfifo f; head -c1 f & tyger buffer read b1 -o f 2>/dev/null", "s"],
])("a command ends when its reader does, though it has nothing more to write: %s", async (line, shown) => {
  expect(await shell(`${line}; echo "\${PIPESTATUS[0]}"`)).toEqual({ stdout: `${shown}1\n`, stderr: "" });
});

test("run exec cancels its run when its reader ends before the next byte", async () => {
  server.job = async () => {
    await server.fill("bout", Buffer.from("some bytes")).catch(() => undefined);
    return {};
  };
  // The job keeps running: the block that ends its output is never stored.
  server.beforeStoring = (path) => (path === "bout/00/001" ? new Promise(() => undefined) : undefined);
  const { stdout, stderr } = await shell("tyger run exec -c source | head -c1");
  expect(stdout).toBe("s");
  expect(stderr).toMatch(/stdout/);
  expect(server.requests("POST", /^\/runs\/7\/cancel/)).toHaveLength(1);
});

test("a reader that takes its time gets all of it", async () => {
  const { stdout } = await shell("tyger buffer gen 3000000 | cat | wc -c");
  expect(stdout.trim()).toBe("3000000");
});
