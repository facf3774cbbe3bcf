import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileSync, symlinkSync } from "node:fs";
import { once } from "node:events";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openWriteEnd, ReadEnd, ReaderGone } from "../../pump/fifo.ts";
import { stays, turns } from "../eventually.ts";
import { attemptFolder, startJob, type Job } from "./job.ts";

let folder: ReturnType<typeof attemptFolder>;
let path: string;
const jobs: Job[] = [];
const job = (script: string): Job => {
  const started = startJob(folder.path, script);
  jobs.push(started);
  return started;
};
const never = new AbortController().signal;
async function contentOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  let content = "";
  for await (const chunk of stream) content += Buffer.from(chunk).toString();
  return content;
}

beforeEach(() => {
  folder = attemptFolder(["p"]);
  path = join(folder.path, "pipes/p.pipe");
});
afterEach(() => {
  for (const started of jobs.splice(0)) started.end();
  folder.remove();
});

test("a pipe that no process has opened is not at its end", async () => {
  let ended = false;
  void contentOf(new ReadEnd(path).stream(never)).then(() => (ended = true));
  await stays(() => !ended);
  await job("sleep 0.1 > p.pipe").ended;
  await expect.poll(() => ended).toBe(true);
});

test("writers that overlap are one stream", async () => {
  const stream = new ReadEnd(path).stream(never);
  job("(echo a; sleep 0.3; echo b) > p.pipe & (sleep 0.1; echo c; sleep 0.5; echo d) > p.pipe & wait");
  expect(await contentOf(stream)).toBe("a\nc\nb\nd\n");
});

test("a nudge ends a pipe that no process opened, and keeps the bytes in it", async () => {
  const end = new ReadEnd(path);
  const untouched = contentOf(end.stream(never));
  end.nudge();
  expect(await untouched).toBe("");
  await job("echo late > p.pipe").ended;
  const late = end.stream(never);
  end.nudge();
  expect(await contentOf(late)).toBe("late\n");
});

test("a nudge does not end a stream that has a writer", async () => {
  const end = new ReadEnd(path);
  const stream = end.stream(never);
  const writer = job("exec 3> p.pipe; echo open; read; echo done >&3").process;
  const all = contentOf(stream);
  await once(writer.stdout!, "data");
  end.nudge();
  writer.stdin!.write("\n");
  expect(await all).toBe("done\n");
});

test("a file moved over the pipe is noticed, a pipe that was removed is not", async () => {
  const end = new ReadEnd(path);
  expect(end.isReplaced()).toBe(false);
  await job("rm p.pipe").ended;
  expect(end.isReplaced()).toBe(false);
  await job("echo x > p.pipe").ended;
  expect(end.isReplaced()).toBe(true);
  end.nudge();
});

test("a waiting stream ends on a signal", async () => {
  const abort = new AbortController();
  const content = contentOf(new ReadEnd(path).stream(abort.signal));
  await turns(3);
  abort.abort(new Error("enough"));
  await expect(content).rejects.toThrow("enough");
});

test("anything but a pipe is never opened", async () => {
  const target = join(folder.path, "target");
  writeFileSync(target, "precious");
  const link = join(folder.path, "link");
  symlinkSync(target, link);
  await expect(openWriteEnd(target, never)).rejects.toThrow("is not a named pipe");
  await expect(openWriteEnd(link, never)).rejects.toThrow("ELOOP");
  expect(() => new ReadEnd(link)).toThrow("ELOOP");
  expect(readFileSync(target, "utf8")).toBe("precious");
});

test("a job that reads late gets everything, and the end only on close", async () => {
  const reader = job("sleep 0.2; cat p.pipe; echo -n ' end'");
  const end = await openWriteEnd(path, never);
  await end?.write(Buffer.from("all"));
  await stays(() => reader.process.exitCode === null);
  end?.close();
  expect((await reader.ended).stdout).toBe("all end");
});

test("a job that closes early is not a failure", async () => {
  const reader = job("head -c 1 p.pipe");
  const end = await openWriteEnd(path, never);
  const writeAll = async (): Promise<void> => {
    for (;;) await end?.write(Buffer.alloc(1 << 20));
  };
  await expect(writeAll()).rejects.toThrow(ReaderGone);
  expect((await reader.ended).code).toBe(0);
});

test("waiting for a job that never opens, or never reads, ends on a signal", async () => {
  const abort = new AbortController();
  const waiting = openWriteEnd(path, abort.signal);
  await turns(3);
  abort.abort();
  expect(await waiting).toBe(undefined);

  job("exec 3< p.pipe; sleep 60");
  const second = new AbortController();
  const end = await openWriteEnd(path, second.signal);
  const write = end?.write(Buffer.alloc(1 << 20));
  let isOver = false;
  write?.catch(() => (isOver = true));
  await stays(() => !isOver);
  second.abort();
  await expect(write).rejects.toThrow("aborted");
});
