import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileSync, symlinkSync } from "node:fs";
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ReadEnd, WriteEnd } from "../../pump/fifo.ts";
import { eventually, stays, turns } from "../eventually.ts";
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

test("a pipe that was written and closed before it is watched is at its end", async () => {
  const end = new ReadEnd(path);
  await job("echo x > p.pipe").ended;
  expect(await contentOf(end.stream(never))).toBe("x\n");
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
  expect(() => new WriteEnd(target)).toThrow("is not a named pipe");
  expect(() => new WriteEnd(link)).toThrow("ELOOP");
  expect(() => new WriteEnd(`${path}.missing`)).toThrow("ENOENT");
  expect(() => new ReadEnd(link)).toThrow("ELOOP");
  expect(readFileSync(target, "utf8")).toBe("precious");
});

describe("our ends of a pipe that the job reads", () => {
  let over: AbortController;
  beforeEach(() => {
    over = new AbortController();
  });
  afterEach(() => over.abort());
  const hasEnded = async (reader: Job): Promise<void> =>
    void (await eventually(() => reader.process.exitCode !== null));

  test("a job that reads late gets everything, and the end only after the end", async () => {
    const end = new WriteEnd(path);
    await end.write(Buffer.from("all"), never);
    const reader = job("sleep 0.1; cat p.pipe; echo -n ' end'");
    await stays(() => reader.process.exitCode === null);
    void end.end(over.signal);
    expect((await reader.ended).stdout).toBe("all end");
  });

  test("a job that opens only after the end gets everything, and each further open an end at once", async () => {
    const end = new WriteEnd(path);
    await end.write(Buffer.from("all"), never);
    void end.end(over.signal);
    expect((await job("cat p.pipe; cat p.pipe; cat p.pipe; echo -n ' end'").ended).stdout).toBe("all end");
  });

  test("the bytes that a reader has left, even in the middle of a write, are for the next one", async () => {
    const end = new WriteEnd(path);
    const bytes = randomBytes(300_000).map((byte) => byte & 127);
    const reader = job("for i in 1 2 3; do dd bs=1000 count=$i status=none < p.pipe; done; cat p.pipe");
    await end.write(bytes, never);
    void end.end(over.signal);
    expect((await reader.ended).stdout).toBe(bytes.toString());
  });

  test("a write waits for a job that has closed the pipe, until its signal", async () => {
    const abort = new AbortController();
    const end = new WriteEnd(path);
    const reader = job("head -c 1 p.pipe");
    const write = end.write(Buffer.alloc(1 << 20), abort.signal);
    let isOver = false;
    write.catch(() => (isOver = true));
    await hasEnded(reader);
    await stays(() => !isOver);
    abort.abort();
    await expect(write).rejects.toThrow("aborted");
  });

  test("readers that share the pipe get each byte once, and each of them an end", async () => {
    const end = new WriteEnd(path);
    const readers = job("for i in 1 2 3 4; do cat p.pipe | wc -c & done; wait");
    await end.write(Buffer.alloc(1 << 20), never);
    void end.end(over.signal);
    const counts = (await readers.ended).stdout.trim().split("\n").map(Number);
    expect(counts.length).toBe(4);
    expect(counts.reduce((sum, count) => sum + count)).toBe(1 << 20);
  });

  test.each(["rm p.pipe", "rm p.pipe; mkfifo p.pipe", "mv p.pipe q.pipe; echo own > p.pipe"])(
    "a job that already has the pipe open reads on after `%s`",
    async (script) => {
      const end = new WriteEnd(path);
      const reader = job(`exec 3< p.pipe; ${script}; cat <&3`);
      await end.write(Buffer.from("all"), never);
      void end.end(over.signal);
      expect((await reader.ended).stdout).toBe("all");
    },
  );

  test("the waiting for further opens ends on a signal", async () => {
    const end = new WriteEnd(path);
    const ending = end.end(over.signal);
    let isOver = false;
    void ending.then(() => (isOver = true));
    await stays(() => !isOver);
    over.abort();
    expect(await ending).toBeUndefined();
  });
});
