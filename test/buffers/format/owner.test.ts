import { createServer, request } from "node:http";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { fromUrl } from "../../../buffers/access/access.ts";
import { blobsOver } from "../../../buffers/access/blob-client.ts";
import type { Blobs, BlobSource } from "../../../buffers/format/blobs.ts";
import {
  END_BLOB,
  END_COMPLETE,
  END_FAILED,
  START_BLOB,
  START_CONTENT,
} from "../../../buffers/format/buffer-format.ts";
import { claimBuffer, putEndMark } from "../../../buffers/format/owner.ts";
import { readBuffer } from "../../../buffers/format/reader.ts";
import { markFailed, writeBuffer, type WriteOptions } from "../../../buffers/format/writer.ts";
import { CodedError } from "../../../model/errors.ts";
import { startDataPlane, type TestDataPlane } from "../../data-plane.ts";
import { eventually } from "../../eventually.ts";

let plane: TestDataPlane;
beforeAll(async () => {
  plane = await startDataPlane();
});
afterAll(async () => {
  await plane.close();
});

const accessTo = (id: string): BlobSource => blobsOver(fromUrl(plane.urlOf(id, true)));
const open = (id: string): Blobs => accessTo(id).open({ signal: new AbortController().signal, outageMs: 1000 });
const contentOf = async (id: string): Promise<string> => text(Readable.from(readBuffer(accessTo(id))));
const endOf = async (id: string): Promise<string> =>
  text(Readable.from((await plane.store.get(id, END_BLOB)).body)).catch(() => "none");
const hasEnd = (id: string): Promise<boolean> => open(id).exists(END_BLOB);

/** A writer in the middle of its data. */
async function begin(id: string, options?: WriteOptions) {
  const source = new PassThrough();
  const written = writeBuffer(source, accessTo(id), { flushIntervalMs: 10, ...options });
  written.catch(() => undefined);
  source.write("theirs");
  await eventually(() => plane.store.head(id, "00/000"));
  return { source, written };
}

describe("a writer that fails", () => {
  test("leaves a buffer alone that another writer has begun", async () => {
    const id = await plane.newBuffer();
    const { source, written } = await begin(id);
    await markFailed(accessTo(id), "ours");
    expect(await hasEnd(id)).toBe(false);
    source.end(" to the end");
    await written;
    expect(await contentOf(id)).toBe("theirs to the end");
  });

  test("leaves a buffer alone that a client without a token has begun", async () => {
    const id = await plane.newBuffer();
    await plane.store.put(id, START_BLOB, Readable.from([Buffer.from(START_CONTENT)]), { metadata: {} });
    await markFailed(accessTo(id), "ours");
    expect(await hasEnd(id)).toBe(false);
  });

  test("ends a buffer that no writer has begun, and keeps every later one away", async () => {
    const id = await plane.newBuffer();
    await markFailed(accessTo(id), "ours");
    expect(await endOf(id)).toBe(END_FAILED);
    await expect(writeBuffer(Readable.from([Buffer.from("late")]), accessTo(id))).rejects.toMatchObject({
      code: "Conflict",
    });
  });

  test("ends its own buffer, also for a process that acts for it", async () => {
    const id = await plane.newBuffer();
    const { source } = await begin(id, { writer: "run-1-abc-0" });
    await markFailed(accessTo(id), "run-1-abc-0");
    expect(await endOf(id)).toBe(END_FAILED);
    source.destroy();
  });

  test("before it knew whether the buffer was its own leaves that of another alone", async () => {
    const id = await plane.newBuffer();
    const inner = accessTo(id);
    const asked = Promise.withResolvers<void>();
    const stop = new AbortController();
    // The question of the start never gets an answer.
    const silent: BlobSource = {
      open: (options) => ({
        ...inner.open(options),
        exists: () =>
          new Promise((_, reject) => {
            options.signal.addEventListener("abort", () => reject(new Error("aborted")));
            asked.resolve();
          }),
      }),
    };
    const writing = writeBuffer(Readable.from([Buffer.from("ours")]), silent, { signal: stop.signal });
    await asked.promise;
    const { source, written } = await begin(id);
    stop.abort(new Error("Canceling"));
    await expect(writing).rejects.toThrow("Canceling");
    source.end();
    await written;
    expect(await contentOf(id)).toBe("theirs");
  });
});

describe("a writer that finds an end mark of another writer", () => {
  test.each([
    ["a failed one", END_FAILED, {}],
    ["a failed one of a writer with a token", END_FAILED, { tyger_writer: "other" }],
    ["a complete one", END_COMPLETE, {}],
    ["a complete one of a writer with a token", END_COMPLETE, { tyger_writer: "other" }],
  ])("fails: %s", async (_name, mark, metadata) => {
    const id = await plane.newBuffer();
    const { source, written } = await begin(id);
    await plane.store.put(id, END_BLOB, Readable.from([Buffer.from(mark)]), { metadata });
    source.end();
    await expect(written).rejects.toThrow("Another writer has ended the buffer, so it is not whole");
    expect(await endOf(id)).toBe(mark);
  });

  test("fails when what acted for it has marked it failed", async () => {
    const id = await plane.newBuffer();
    const { source, written } = await begin(id, { writer: "run-1-abc-0" });
    await putEndMark(open(id), "run-1-abc-0", "failed");
    source.end();
    await expect(written).rejects.toMatchObject({ code: "Conflict" });
  });

  test("succeeds when what acted for it has completed it", async () => {
    const id = await plane.newBuffer();
    const { source, written } = await begin(id, { writer: "run-1-abc-0" });
    await putEndMark(open(id), "run-1-abc-0", "complete");
    source.end();
    expect(await written).toEqual({ sizeBytes: 6 });
  });
});

/** Access to a buffer whose end mark is refused, as by a full disk, until `heals`. */
function refusing(id: string): { source: BlobSource; refused: () => number; heals: () => void } {
  let refused = 0;
  let isFull = true;
  const inner = accessTo(id);
  const source: BlobSource = {
    open(options) {
      const blobs = inner.open(options);
      return {
        ...blobs,
        async put(path, bytes, labels) {
          if (path !== END_BLOB || !isFull) return blobs.put(path, bytes, labels);
          refused += 1;
          throw new CodedError("Unavailable", "no space left");
        },
      };
    },
  };
  return { source, refused: () => refused, heals: () => (isFull = false) };
}

describe("a complete mark that cannot be stored", () => {
  const ours = () => Readable.from([Buffer.from("ours")]);

  test("is a warning: the data is whole without it", async () => {
    const id = await plane.newBuffer();
    const warnings: string[] = [];
    await writeBuffer(ours(), refusing(id).source, { onWarning: (warning) => warnings.push(warning) });
    expect(warnings).toEqual(["The end mark could not be written: no space left"]);
    expect(await contentOf(id)).toBe("ours");
  });

  test("is written again until it is stored, if it must be", async () => {
    const id = await plane.newBuffer();
    const { source, refused, heals } = refusing(id);
    const writing = writeBuffer(ours(), source, { mustMark: true });
    await eventually(() => refused() >= 3);
    heals();
    await writing;
    expect(await endOf(id)).toBe(END_COMPLETE);
  });

  test("is given up when the write is aborted", async () => {
    const id = await plane.newBuffer();
    const stop = new AbortController();
    const { source, refused } = refusing(id);
    const writing = writeBuffer(ours(), source, { mustMark: true, signal: stop.signal });
    await eventually(() => refused() >= 1);
    stop.abort(new Error("Canceling"));
    await expect(writing).rejects.toThrow("Canceling");
  });

  test("is given up when the buffer is gone", async () => {
    const id = await plane.newBuffer();
    const { source, refused, heals } = refusing(id);
    const writing = writeBuffer(ours(), source, { mustMark: true });
    await eventually(() => refused() >= 1);
    await plane.store.delete(id);
    heals();
    await expect(writing).rejects.toMatchObject({ code: "ContainerNotFound" });
  });
});

test("of two writers one has the buffer, even if the answer to a start is lost", async () => {
  const id = await plane.newBuffer();
  const socketPath = join(plane.dir, `${id}.sock`);
  let isFirst = true;
  // Passes everything on. The first start is that of another writer instead, and its sender gets no answer.
  const proxy = createServer((req, res) => {
    if (req.method === "PUT" && req.url?.includes(START_BLOB) && isFirst) {
      isFirst = false;
      void claimBuffer(open(id), "other").then(() => req.socket.destroy());
      return;
    }
    const { method, url: path, headers } = req;
    const onwards = request({ socketPath: plane.socketPath, method, path, headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 500, answer.rawHeaders);
      answer.pipe(res);
    });
    req.pipe(onwards);
  });
  await new Promise<void>((resolve) => void proxy.listen(socketPath, resolve));
  onTestFinished(() => void proxy.close());
  const url = plane.urlOf(id, true).replace(plane.socketPath, socketPath);
  const writing = writeBuffer(Readable.from([Buffer.from("ours")]), blobsOver(fromUrl(url)));
  await expect(writing).rejects.toThrow("The buffer has already been written to");
  expect(await hasEnd(id)).toBe(false);
});
