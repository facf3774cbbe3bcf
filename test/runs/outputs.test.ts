import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFilesystemStore } from "../../buffers/filesystem/filesystem-store.ts";
import { storedBlobs } from "../../buffers/format/stored-blobs.ts";
import { END_BLOB, END_COMPLETE, END_FAILED, START_BLOB, START_CONTENT } from "../../buffers/format/buffer-format.ts";
import { readBuffer } from "../../buffers/format/reader.ts";
import { writeBuffer } from "../../buffers/format/writer.ts";
import { CodedError } from "../../model/errors.ts";
import type { OutputClaim } from "../../model/ports/records.ts";
import type { BufferStore } from "../../model/ports/store.ts";
import { writerOf } from "../../model/run/pump.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { newBufferId } from "../../runs/buffers.ts";
import { checkUnwritten, endOfOutput, settleOutputs } from "../../runs/outputs.ts";
import { eventually } from "../eventually.ts";

let dir: string;
let store: BufferStore;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tyger-outputs-"));
  store = createFilesystemStore(dir);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const NAME = { id: 7, uid: "abc" };
const OURS = writerOf(NAME, 0);

async function newBuffer(): Promise<string> {
  const id = newBufferId();
  await store.provision(id);
  return id;
}

const put = (id: string, path: string, content: string, writer?: string) =>
  store.put(id, path, Readable.from([Buffer.from(content)]), {
    metadata: writer === undefined ? {} : { tyger_writer: writer },
  });
const endOf = async (id: string): Promise<string> => text(Readable.from((await store.get(id, END_BLOB)).body));
const hasEnd = (id: string): Promise<boolean> =>
  store.head(id, END_BLOB).then(
    () => true,
    () => false,
  );

/** The run, ended, with these outputs, and the claims that it still has. */
function ended(status: RunRecord["status"], ids: string[], claim: Partial<OutputClaim> = {}) {
  const outputs = ids.map((_, place) => `out${place}`);
  const run: RunRecord = {
    ...NAME,
    status,
    cluster: "docker",
    job: {
      codespec: { kind: "job", image: "ubuntu", buffers: { outputs } },
      buffers: Object.fromEntries(outputs.map((name, place) => [name, ids[place] ?? ""])),
    },
    timeoutSeconds: 60,
    bufferAccessTtl: "01:00:00",
    createdAt: "2024-01-25T18:20:49+00:00",
    eTag: "1",
    replicaCount: 1,
    revision: 1,
  };
  let claims = ids.map((bufferId): OutputClaim => ({ bufferId, hasToken: true, ...claim }));
  const runs = {
    outputClaims: async () => claims,
    releaseOutputs: async () => {
      claims = [];
    },
  };
  return { run, runs, isReleased: () => claims.length === 0 };
}

const settle = async (status: RunRecord["status"], id: string, claim?: Partial<OutputClaim>) => {
  const { run, runs, isReleased } = ended(status, [id], claim);
  await settleOutputs({ runs, store }, run);
  expect(isReleased()).toBe(true);
};

describe("the end of an output that has none", () => {
  const ran = (status: RunRecord["status"]) => ({ ...NAME, status });
  test.each([
    ["that no writer has begun, of a run that failed", undefined, true, "Failed", "failed"],
    ["that no writer has begun, of a run that succeeded", undefined, true, "Succeeded", "failed"],
    ["that the run has begun, and that failed", { writer: OURS }, true, "Failed", "failed"],
    ["that the run has begun, and that was canceled", { writer: OURS }, true, "Canceled", "failed"],
    ["that the run has begun, and that succeeded", { writer: OURS }, true, "Succeeded", "complete"],
    ["of another writer", { writer: "other" }, true, "Failed", undefined],
    ["of another writer, of a run that succeeded", { writer: "other" }, true, "Succeeded", undefined],
    ["of another run with its number", { writer: writerOf({ id: 7, uid: "xyz" }, 0) }, true, "Failed", undefined],
    ["of a client without a token", {}, true, "Failed", undefined],
    ["that an older pump can have begun", {}, false, "Failed", "failed"],
    ["that an older pump has begun, and the run succeeded", {}, false, "Succeeded", "complete"],
    ["of another writer, of an older run", { writer: "other" }, false, "Failed", undefined],
  ] as const)("%s", (_name, start, hasToken, status, end) => {
    expect(endOfOutput(start, { hasToken }, ran(status))).toBe(end);
  });
});

describe("the outputs of a run that ended", () => {
  test("are left to the writer that is filling them", async () => {
    const id = await newBuffer();
    const source = new PassThrough();
    const written = writeBuffer(source, storedBlobs(store, id), { flushIntervalMs: 10 });
    source.write("theirs");
    await eventually(() => store.head(id, "00/000"));
    await settle("Canceled", id);
    expect(await hasEnd(id)).toBe(false);
    source.end(" to the end");
    await written;
    const content = Readable.from(readBuffer(storedBlobs(store, id)));
    expect(await text(content)).toBe("theirs to the end");
  });

  test("are left to a client without a token", async () => {
    const id = await newBuffer();
    await put(id, START_BLOB, START_CONTENT);
    await settle("Failed", id);
    expect(await hasEnd(id)).toBe(false);
  });

  test("fail where the run has begun them, and its pump learns it", async () => {
    const id = await newBuffer();
    const source = new PassThrough();
    const written = writeBuffer(source, storedBlobs(store, id), { writer: OURS, flushIntervalMs: 10 });
    source.write("part");
    await eventually(() => store.head(id, "00/000"));
    await settle("Failed", id);
    expect(await endOf(id)).toBe(END_FAILED);
    source.end();
    await expect(written).rejects.toMatchObject({ code: "Conflict" });
  });

  test("fail where no writer has begun, and later writers are refused", async () => {
    const id = await newBuffer();
    await settle("Canceled", id);
    expect(await endOf(id)).toBe(END_FAILED);
    expect((await store.head(id, START_BLOB)).metadata).toEqual({ tyger_writer: OURS });
    const late = writeBuffer(Readable.from([Buffer.from("late")]), storedBlobs(store, id));
    await expect(late).rejects.toMatchObject({ code: "Conflict" });
  });

  test("are complete when the run succeeded and only the mark is missing", async () => {
    const id = await newBuffer();
    await writeBuffer(Readable.from([Buffer.from("all")]), storedBlobs(store, id), { writer: OURS });
    await rm(join(dir, id, END_BLOB));
    await settle("Succeeded", id);
    expect(await endOf(id)).toBe(END_COMPLETE);
    expect((await store.head(id, END_BLOB)).metadata).toEqual({ tyger_writer: OURS });
  });

  test.each(["Succeeded", "Failed"] as const)("keep the end that they have: %s", async (status) => {
    const id = await newBuffer();
    await put(id, END_BLOB, END_COMPLETE, "other");
    await settle(status, id);
    expect(await endOf(id)).toBe(END_COMPLETE);
    await expect(store.head(id, START_BLOB)).rejects.toMatchObject({ code: "BlobNotFound" });
  });

  test("fail without a token where an older pump can have begun them", async () => {
    const id = await newBuffer();
    await put(id, START_BLOB, START_CONTENT);
    await settle("Failed", id, { hasToken: false });
    expect(await endOf(id)).toBe(END_FAILED);
  });

  test("need nothing when they were purged", async () => {
    const { run, runs, isReleased } = ended("Failed", [newBufferId()]);
    await settleOutputs({ runs, store }, run);
    expect(isReleased()).toBe(true);
  });

  test("stay claimed as long as one of them cannot be marked", async () => {
    const [first, second] = [await newBuffer(), await newBuffer()];
    const { run, runs, isReleased } = ended("Failed", [first, second]);
    const full: typeof store = {
      ...store,
      put: (id, ...rest) =>
        id === second ? Promise.reject(new CodedError("Unavailable", "no space left")) : store.put(id, ...rest),
    };
    await expect(settleOutputs({ runs, store: full }, run)).rejects.toThrow("no space left");
    expect([isReleased(), await hasEnd(first), await hasEnd(second)]).toEqual([false, true, false]);
    await settleOutputs({ runs, store }, run);
    expect([isReleased(), await endOf(second)]).toEqual([true, END_FAILED]);
  });
});

describe("a buffer that is given for an output", () => {
  test("must exist in the store", async () => {
    const missing = newBufferId();
    await expect(checkUnwritten(store, { parameter: "out", bufferId: missing })).rejects.toThrow(
      `The buffer '${missing}' was not found`,
    );
  });

  test.each([START_BLOB, END_BLOB])("must not have a %s", async (path) => {
    const id = await newBuffer();
    await checkUnwritten(store, { parameter: "out", bufferId: id });
    await put(id, path, "damaged or not");
    await expect(checkUnwritten(store, { parameter: "out", bufferId: id })).rejects.toMatchObject({
      code: "InvalidInput",
    });
  });
});
