import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createBufferStores, createLocator } from "../../buffers/buffer-stores.ts";
import { openLocations, type Locations } from "../../buffers/locations.ts";
import { createLogArchive } from "../../logs/archive.ts";
import { CodedError } from "../../model/errors.ts";
import type { LogLines } from "../../model/ports/log.ts";
import type { LocationRecords } from "../../model/ports/records.ts";
import type { BufferStores } from "../../model/ports/store.ts";
import { newBufferId } from "../../runs/buffers.ts";
import { createFakeRecords, type FakeRecords } from "../fakes/records.ts";

/** The database stays, whatever becomes of the processes and their folders. */
let records: FakeRecords & { locations: LocationRecords };
let root: string;
let errors: object[];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tyger-locations-"));
  records = { ...createFakeRecords(), locations: fakeLocations() };
  errors = [];
});
afterEach(() => rm(root, { recursive: true, force: true }));

function fakeLocations(): LocationRecords {
  const names = new Set<string>();
  return {
    has: async (name) => names.has(name),
    names: async () => [...names],
    add: async (name) => void names.add(name),
  };
}

/** A process with these locations in its configuration; without any, the data folder is the one. */
async function start(...names: string[]): Promise<{ locations: Locations; stores: BufferStores }> {
  const [first = { name: "local", folder: join(root, "data") }, ...others] = names.map((name) => ({
    name,
    folder: join(root, name),
  }));
  const options = { dataDir: join(root, "data"), records: records.locations, installationId: "abcdefghij" };
  const locations = await openLocations([first, ...others], options);
  await locations.prepare({ info: () => {}, warn: () => {}, error: (facts) => void errors.push(facts) });
  return { locations, stores: createBufferStores(locations, createLocator(locations, records.buffers)) };
}

async function newBuffer(stores: BufferStores, location: string): Promise<string> {
  const id = newBufferId();
  await stores.at(location).provision(id);
  await records.buffers.create({ id, location });
  await stores.put(id, "00/000", Readable.from([Buffer.from(location)]), { metadata: {} });
  return id;
}
const contentOf = async (stores: BufferStores, id: string): Promise<string> =>
  (await stores.getWhole(id, "00/000", (size) => Buffer.alloc(size))).bytes.toString();
const foldersOf = (...names: string[]) => Promise.all(names.map((name) => mkdir(join(root, name))));
const unmount = (name: string) => rename(join(root, name), join(root, `${name}-away`));
const mount = (name: string) => rename(join(root, `${name}-away`), join(root, name));
const away = { code: "Unavailable", message: expect.stringMatching(/^The folder '.*' is missing; mount its disk/) };

test("without a configuration, everything is in the data folder, which is made", async () => {
  const { locations, stores } = await start();
  const id = await newBuffer(stores, "local");
  expect([locations.names, locations.default, stores.locations]).toEqual([["local"], "local", ["local"]]);
  expect(await readdir(join(root, "data", "buffers"))).toContain(id);
  expect(await readdir(join(root, "data"))).toEqual(["buffers", "logs"]);
  expect([await locations.used(), errors]).toEqual([["local"], []]);
});

test("each buffer is in the folder of its location, and every call finds it there", async () => {
  await foldersOf("a", "b");
  const { locations, stores } = await start("a", "b");
  const ids = { a: await newBuffer(stores, "a"), b: await newBuffer(stores, "b") };
  for (const name of ["a", "b"] as const) {
    expect((await readdir(join(root, name, "buffers"))).filter((entry) => entry !== "-passage")).toEqual([ids[name]]);
    expect(locations.placeAt(name)).toEqual({ storeDir: join(root, name, "buffers") });
    const facts = { contentMd5: "1B2M2Y8AsgTpgAmY7PhCfg==", metadata: {} };
    await stores.putWhole(ids[name], "00/001", new Uint8Array(), facts);
    expect(await contentOf(stores, ids[name])).toBe(name);
    expect(await stores.exists(ids[name])).toBe(true);
    expect((await stores.get(ids[name], "00/000")).sizeBytes).toBe(1);
    expect((await stores.head(ids[name], "00/001")).sizeBytes).toBe(0);
    expect((await stores.list(ids[name], { limit: 10 })).paths).toEqual(["00/000", "00/001"]);
    await stores.waitFor(ids[name], "00/001", 20_000, new AbortController().signal);
    await stores.provision(ids[name]);
    await stores.delete(ids[name]);
    expect(await stores.exists(ids[name])).toBe(false);
  }
  // Only existing installations have something in the data folder.
  expect(await readdir(root)).toEqual(["a", "b"]);
});

test("buffers from before there was a configuration stay readable, beside the new default", async () => {
  const before = await start();
  const old = await newBuffer(before.stores, "local");
  await foldersOf("a");
  const { stores, locations } = await start("a");
  const added = await newBuffer(stores, "a");
  expect([await contentOf(stores, old), await contentOf(stores, added)]).toEqual(["local", "a"]);
  expect(await readdir(join(root, "data", "buffers"))).toContain(old);
  expect([stores.locations, await locations.used()]).toEqual([["a"], ["local", "a"]]);
});

test("a buffer whose location is no longer in the configuration is neither missing nor looked for elsewhere", async () => {
  await foldersOf("a", "b");
  const id = await newBuffer((await start("a", "b")).stores, "b");
  const { stores } = await start("a");
  const unknown = { code: "Unavailable", message: "The location 'b' is not in the configuration of this server" };
  await expect(stores.exists(id)).rejects.toMatchObject(unknown);
  await expect(stores.head(id, "00/000")).rejects.toMatchObject(unknown);
  expect(await contentOf((await start("b", "a")).stores, id)).toBe("b");
});

test("the only location is asked before the database, which can be away", async () => {
  const first = await start();
  const id = await newBuffer(first.stores, "local");
  const { stores } = await start();
  const restored = { ...records.buffers };
  records.buffers.find = async () => {
    throw new CodedError("Unavailable", "The database is not available");
  };
  expect(await contentOf(stores, id)).toBe("local");
  await expect(stores.exists(newBufferId())).rejects.toMatchObject({ code: "Unavailable" });
  Object.assign(records.buffers, restored);
  expect(await stores.exists(newBufferId())).toBe(false);
});

test("with several locations, the location of a buffer is asked for once", async () => {
  await foldersOf("a", "b");
  const { stores } = await start("a", "b");
  const id = await newBuffer(stores, "b");
  records.buffers.find = async () => {
    throw new CodedError("Unavailable", "The database is not available");
  };
  expect(await contentOf(stores, id)).toBe("b");
});

describe("a location that is away", () => {
  test("is reported, leaves the other alone, and nothing is written in its place", async () => {
    await foldersOf("a", "b");
    const { stores, locations } = await start("a", "b");
    const ids = { a: await newBuffer(stores, "a"), b: await newBuffer(stores, "b") };
    await unmount("b");
    await mkdir(join(root, "b")); // As an empty mount point.
    await expect(contentOf(stores, ids.b)).rejects.toMatchObject(away);
    await expect(stores.exists(ids.b)).rejects.toMatchObject(away);
    await expect(stores.delete(ids.b)).rejects.toMatchObject(away);
    await expect(newBuffer(stores, "b")).rejects.toMatchObject(away);
    expect(await contentOf(stores, ids.a)).toBe("a");
    await newBuffer(stores, "a");
    await locations.check();
    expect(await readdir(join(root, "b"))).toEqual([]);
    await rm(join(root, "b"), { recursive: true });
    await mount("b");
    expect(await contentOf(stores, ids.b)).toBe("b");
  });

  test("is one error at the start of a process, for which the other works", async () => {
    await foldersOf("a", "b");
    const first = await start("a", "b");
    const ids = { a: await newBuffer(first.stores, "a"), b: await newBuffer(first.stores, "b") };
    await unmount("a");
    const { stores, locations } = await start("a", "b");
    expect(errors).toEqual([{ location: "a", reason: away.message }]);
    expect(await contentOf(stores, ids.b)).toBe("b");
    await expect(contentOf(stores, ids.a)).rejects.toMatchObject(away);
    await expect(locations.check()).rejects.toMatchObject(away);
    await mount("a");
    expect(await contentOf(stores, ids.a)).toBe("a");
    await locations.check();
  });

  test("is not one that is new: that folder must be there, and is used from then on", async () => {
    const { stores } = await start("a");
    expect(errors).toEqual([{ location: "a", reason: away.message }]);
    await expect(newBuffer(stores, "a")).rejects.toMatchObject(away);
    expect(await readdir(root)).toEqual([]);
    await foldersOf("a");
    expect(await contentOf(stores, await newBuffer(stores, "a"))).toBe("a");
  });

  test("can be the only one, while older buffers are read", async () => {
    const old = await newBuffer((await start()).stores, "local");
    await foldersOf("a");
    const { stores } = await start("a");
    await newBuffer(stores, "a");
    await unmount("a");
    expect(await contentOf(stores, old)).toBe("local");
    await expect(stores.exists(newBufferId())).rejects.toMatchObject(away);
  });

  test("can be the data folder, in which a disk that is not mounted is not an empty store", async () => {
    const { stores } = await start();
    const id = await newBuffer(stores, "local");
    await unmount("data");
    await expect(contentOf((await start()).stores, id)).rejects.toMatchObject(away);
    expect(await readdir(root)).toEqual(["data-away"]);
  });
});

describe("the archive", () => {
  async function* lines(text: string): LogLines {
    yield [{ at: "2026-01-01T00:00:00.000000000Z", bytes: Buffer.from(text) }];
  }
  const textOf = async (found: LogLines | undefined): Promise<string | undefined> => {
    let text = "";
    for await (const batch of found ?? []) for (const { bytes } of batch) text += Buffer.from(bytes).toString();
    return found && text;
  };

  test("keeps logs in the default location, and finds those of former defaults", async () => {
    const before = createLogArchive((await start()).locations);
    expect(await before.write({ id: 1 }, lines("old"))).toBe("local");
    await foldersOf("a", "b");
    const archive = createLogArchive((await start("a", "b")).locations);
    const logLocation = await archive.write({ id: 2, uid: "x" }, lines("new"));
    expect([logLocation, await readdir(join(root, "a", "logs", "0"))]).toEqual(["a", ["2-x.log"]]);
    // The row of an older run has no location.
    expect(await textOf(await archive.read({ id: 1 }, {}))).toBe("old");
    expect(await textOf(await archive.read({ id: 1, logLocation: "local" }, {}))).toBe("old");
    const swapped = createLogArchive((await start("b", "a")).locations);
    expect(await textOf(await swapped.read({ id: 2, uid: "x", logLocation }, {}))).toBe("new");
    const numbers = (await swapped.locations()).map((location) => swapped.highestNumber(location));
    expect((await swapped.locations()).toSorted()).toEqual(["a", "b", "local"]);
    expect(new Set(await Promise.all(numbers))).toEqual(new Set([0, 1, 2]));
  });

  test("does not take a location that is away for one without the log", async () => {
    await foldersOf("a", "b");
    const archive = createLogArchive((await start("a", "b")).locations);
    const logLocation = await archive.write({ id: 2, uid: "x" }, lines("text"));
    await unmount("a");
    await expect(archive.read({ id: 2, uid: "x", logLocation }, {})).rejects.toMatchObject(away);
    await expect(archive.write({ id: 3, uid: "x" }, lines("text"))).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringMatching(/^The log of run '3' could not be archived: The folder .* is missing/),
    });
    await mount("a");
    expect(await textOf(await archive.read({ id: 2, uid: "x", logLocation }, {}))).toBe("text");
  });
});

test("a file in the way of a location is reported", async () => {
  await foldersOf("a");
  await writeFile(join(root, "a", "logs"), "in the way");
  await start("a");
  expect(errors).toEqual([
    { location: "a", reason: expect.stringMatching(/^The folder '.*\/a\/logs' cannot be used: ENOTDIR/) },
  ]);
});
