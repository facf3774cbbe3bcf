import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { ObjectStore } from "../../model/ports/objects.ts";

async function* piecesOf(...pieces: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield Buffer.from(piece);
}

/**
 * The tests of every implementation of the port; `makeStore` is called once per test and cleans up after itself. An emulator can
 * be wrong about short pages.
 */
export function testObjectStore(
  makeStore: () => Promise<ObjectStore>,
  { pageSizes = [1, 2, 3, 100] }: { pageSizes?: readonly number[] } = {},
): void {
  const rangeOf = async (store: ObjectStore, key: string, from: number, to: number): Promise<Buffer> => {
    const pieces: Uint8Array[] = [];
    for await (const piece of store.get(key, { from, to })) pieces.push(piece);
    return Buffer.concat(pieces);
  };
  const wholeOf = async (store: ObjectStore, key: string): Promise<string> =>
    (await rangeOf(store, key, 0, (await store.head(key))?.sizeBytes ?? -1)).toString();
  const entriesOf = async (store: ObjectStore, prefix: string, limit = 2): Promise<string[]> => {
    const all: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await store.list(prefix, { limit, after });
      expect(page.entries.length).toBeLessThanOrEqual(limit);
      all.push(...page.entries);
      if (page.next === undefined) return all;
      after = page.next;
    }
  };

  test("an object that was never put is not there", async () => {
    const store = await makeStore();
    expect(await store.head("0/7.log")).toBeUndefined();
    await expect(rangeOf(store, "0/7.log", 0, 1)).rejects.toBeInstanceOf(Error);
    expect(await entriesOf(store, "")).toEqual([]);
    expect(await entriesOf(store, "0/")).toEqual([]);
  });

  test("an object comes back whole, and in any range", async () => {
    const store = await makeStore();
    const bytes = randomBytes(1_000_001);
    await store.put("0/7.log", piecesOf(bytes.subarray(0, 10), bytes.subarray(10)));
    expect(await store.head("0/7.log")).toEqual({ sizeBytes: bytes.length });
    const ranges = [
      [0, bytes.length],
      [0, 0],
      [5, 6],
      [300_000, 900_000],
      [bytes.length - 26, bytes.length],
    ] as const;
    for (const [from, to] of ranges) {
      expect((await rangeOf(store, "0/7.log", from, to)).equals(bytes.subarray(from, to))).toBe(true);
    }
  });

  test("a range beyond the end is an error, not a short answer", async () => {
    const store = await makeStore();
    await store.put("0/7.log", piecesOf("Hello"));
    await expect(rangeOf(store, "0/7.log", 3, 6)).rejects.toThrow("shorter");
  });

  test("pieces stay as they are when others are read", async () => {
    const store = await makeStore();
    const bytes = randomBytes(700_000);
    await store.put("0/7.log", piecesOf(bytes));
    const kept: Uint8Array[] = [];
    for await (const piece of store.get("0/7.log", { from: 0, to: bytes.length })) kept.push(piece);
    expect(Buffer.concat(kept).equals(bytes)).toBe(true);
  });

  test("a reader that stops halfway does not affect others", async () => {
    const store = await makeStore();
    await store.put("0/7.log", piecesOf(randomBytes(700_000)));
    for await (const _ of store.get("0/7.log", { from: 0, to: 700_000 })) break;
    expect(await rangeOf(store, "0/7.log", 0, 700_000)).toHaveLength(700_000);
  });

  test("the first whole object stays, and the content of a later one is not asked for", async () => {
    const store = await makeStore();
    await store.put("0/7.log", piecesOf("first"));
    let asked = 0;
    async function* second(): AsyncGenerator<Uint8Array> {
      asked += 1;
      yield Buffer.from("second");
    }
    await store.put("0/7.log", second());
    expect([await wholeOf(store, "0/7.log"), asked]).toEqual(["first", 0]);
  });

  test("of racing writers one wins, and nothing of the others is there", async () => {
    const store = await makeStore();
    const texts = Array.from({ length: 8 }, (_, i) => `writer ${i}`);
    await Promise.all(texts.map((text) => store.put("0/7.log", piecesOf(text.slice(0, 3), text.slice(3)))));
    expect(texts).toContain(await wholeOf(store, "0/7.log"));
    expect(await entriesOf(store, "0/")).toEqual(["0/7.log"]);
  });

  test("an object whose writer is held up is not there, and comes to nothing once another one is whole", async () => {
    const store = await makeStore();
    const begun = Promise.withResolvers<void>();
    const resumed = Promise.withResolvers<void>();
    async function* heldUp(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("half");
      begun.resolve();
      await resumed.promise;
    }
    const late = store.put("0/7.log", heldUp());
    await begun.promise;
    expect(await store.head("0/7.log")).toBeUndefined();
    expect(await entriesOf(store, "0/")).toEqual([]);
    await store.put("0/7.log", piecesOf("whole"));
    resumed.resolve();
    await late;
    expect(await wholeOf(store, "0/7.log")).toBe("whole");
  });

  test("content that breaks off stores nothing, and the object can be put afterwards", async () => {
    const store = await makeStore();
    async function* breaking(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("half");
      throw new Error("the engine went away");
    }
    await expect(store.put("0/7.log", breaking())).rejects.toThrow("the engine went away");
    expect(await store.head("0/7.log")).toBeUndefined();
    expect(await entriesOf(store, "0/")).toEqual([]);
    await store.put("0/7.log", piecesOf("whole"));
    expect(await wholeOf(store, "0/7.log")).toBe("whole");
  });

  test("an object that was removed is not there, and leaves nothing; others stay, and it can be put again", async () => {
    const store = await makeStore();
    await store.put("live/0/7/1.part", piecesOf("first"));
    await store.put("live/0/8/1.part", piecesOf("other"));
    await store.remove("live/0/7/1.part");
    await store.remove("live/0/7/1.part");
    await store.remove("no/such.part");
    expect(await store.head("live/0/7/1.part")).toBeUndefined();
    expect([await entriesOf(store, "live/"), await entriesOf(store, "live/0/")]).toEqual([["live/0/"], ["live/0/8/"]]);
    await store.put("live/0/7/1.part", piecesOf("again"));
    expect(await wholeOf(store, "live/0/7/1.part")).toBe("again");
    await store.remove("live/0/7/1.part");
    await store.remove("live/0/8/1.part");
    expect(await entriesOf(store, "")).toEqual([]);
  });

  test.for(pageSizes)("lists have a level at a time, in order, %d entries a page", async (limit) => {
    const store = await makeStore();
    for (const key of ["12/12040-abc.log", "0/7.log", "0/7-abc.log", "0/10.log", "2/2001.log", "12/12007.log"]) {
      await store.put(key, piecesOf(key));
    }
    expect(await entriesOf(store, "", limit)).toEqual(["0/", "12/", "2/"]);
    expect(await entriesOf(store, "0/", limit)).toEqual(["0/10.log", "0/7-abc.log", "0/7.log"]);
    expect(await entriesOf(store, "12/", limit)).toEqual(["12/12007.log", "12/12040-abc.log"]);
    expect(await entriesOf(store, "1/", limit)).toEqual([]);
  });
}
