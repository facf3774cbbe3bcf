import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { writeLogin } from "../../../client/login-writer.ts";
import { FakeServer } from "../../fakes/tyger-server.ts";

const MAIN = new URL("../../../cli/main.ts", import.meta.url).pathname;

let server: FakeServer;
let folder: string;
beforeEach(async () => {
  server = await new FakeServer().start();
  server.codespecs.set("cat", {
    name: "cat",
    kind: "job",
    image: "x",
    buffers: { inputs: ["in"], outputs: ["out"] },
  });
  writeLogin(server.loginFile, { serverUrl: `http+unix://${server.socketPath}:` });
  folder = await mkdtemp(join(tmpdir(), "tyger-streams-"));
  await writeFile(join(folder, "file"), "some bytes");
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

/** Runs the program in a shell that redirects its streams. */
async function shell(line: string): Promise<{ code: number | null; stderr: string }> {
  const program = `tyger() { "${process.execPath}" "${MAIN}" "$@"; }`;
  const child = spawn("bash", ["--norc", "-c", `${program}; ${line}`], {
    env: { PATH: process.env["PATH"] ?? "", TYGER_CACHE_FILE: server.loginFile },
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stderr };
}

describe("a stdin that cannot be read is refused before a run is created or a buffer written", () => {
  test.each([
    ["tyger run exec -c cat < .", "stdin is a folder, but the input comes from it"],
    ["tyger run exec -c cat 0> other", "stdin is not open for reading, but the input comes from it"],
    ["tyger buffer write b1 < .", "stdin is a folder, but the input comes from it"],
    ["tyger buffer write b1 0> other", "stdin is not open for reading, but the input comes from it"],
    ["tyger buffer write b1 0> >(cat)", "stdin is not open for reading, but the input comes from it"],
    ["tyger run create -f - < .", "the file '-' cannot be read: stdin is a folder, but the input comes from it"],
    ["tyger codespec create x -f - < .", "the file '-' cannot be read: stdin is a folder, but the input comes from it"],
  ])("%s", async (line, reason) => {
    expect(await shell(line)).toEqual({ code: 1, stderr: `Error: ${reason}\n` });
    expect(server.requests("POST", /runs/)).toEqual([]);
    expect(server.blobs.size).toBe(0);
  });

  test("-i refuses a folder", async () => {
    const { code, stderr } = await shell("tyger buffer write b1 -i .");
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/FTL .*'\.' cannot be read: it is a folder/),
    });
    expect(server.blobs.size).toBe(0);
  });
});

test.each([
  ["tyger run exec -c cat < file 1< .", "stdout is a folder, but the output goes to it"],
  ["tyger run exec -c cat < file 1< file", "stdout is not open for writing, but the output goes to it"],
])("a stdout that cannot be written is refused before a run is created: %s", async (line, reason) => {
  expect(await shell(line)).toEqual({ code: 1, stderr: `Error: ${reason}\n` });
  expect(server.requests("POST", /runs/)).toEqual([]);
});

test.each([
  ["tyger buffer gen 10 1< .", "stdout is a folder"],
  ["tyger buffer gen 10 1< file", "stdout is not open for writing"],
  ["tyger run list 1< .", "stdout is a folder"],
  ["tyger run exec --help 1< .", "stdout is a folder"],
])("a stdout that cannot be written fails the command: %s", async (line, reason) => {
  server.on("GET", /^\/runs\?/, (_, response) => void response.end('{"items":[]}'));
  expect(await shell(line)).toEqual({ code: 1, stderr: `Error: ${reason}\n` });
});

test.each(["< file", "< /dev/null", "< <(cat file)", "0<> file"])("a readable stdin is accepted: %s", async (stdin) => {
  expect((await shell(`tyger buffer write b1 ${stdin}`)).code).toBe(0);
  expect(server.blobs.get("b1/.bufferend")?.bytes.toString()).toBe('{"status":"complete"}');
});
