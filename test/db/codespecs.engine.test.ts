import { isSameCodespec } from "../fakes/codespecs.ts";
import { expect, test } from "vitest";
import { codespec, openFresh, twentyAtOnce } from "./fixture.ts";

test("a codespec starts at version 1, and only a different one makes another", async () => {
  const { database } = await openFresh();
  const { codespecs } = database;
  const first = await codespecs.put("hello", codespec, isSameCodespec);
  expect(first).toEqual({ ...codespec, name: "hello", version: 1, createdAt: expect.stringContaining("+00:00") });
  expect(await codespecs.put("hello", structuredClone(codespec), isSameCodespec)).toEqual(first);
  const second = await codespecs.put("hello", { ...codespec, image: "debian" }, isSameCodespec);
  expect(second.version).toBe(2);
  expect((await codespecs.put("hello", codespec, isSameCodespec)).version).toBe(3);
  expect(await codespecs.find("hello")).toMatchObject({ version: 3, image: "ubuntu" });
  expect(await codespecs.find("hello", 2)).toEqual(second);
});

test.each([0, -1, 2, 1.5, 2 ** 31, 2 ** 60])("there is no version %d", async (version) => {
  const { database } = await openFresh();
  await database.codespecs.put("hello", codespec, isSameCodespec);
  expect(await database.codespecs.find("hello", version)).toBeUndefined();
  expect(await database.codespecs.find("other")).toBeUndefined();
});

test("twenty different contents at once get twenty versions", async () => {
  const { database } = await openFresh();
  const put = await twentyAtOnce((place) =>
    database.codespecs.put("hello", { ...codespec, args: [`${place}`] }, isSameCodespec),
  );
  const versions = put.map(({ version }) => version).toSorted((a, b) => a - b);
  expect(versions).toEqual(Array.from({ length: 20 }, (_, place) => place + 1));
});

test("twenty equal contents at once share one version", async () => {
  const { database } = await openFresh();
  const put = await twentyAtOnce(() => database.codespecs.put("hello", codespec, isSameCodespec));
  expect(new Set(put.map((version) => JSON.stringify(version))).size).toBe(1);
});

test("numbers in text stay text, and the order of env stays", async () => {
  const { database } = await openFresh();
  const given = {
    ...codespec,
    args: ["10.5", "true", '"', "\\", "null", "é🙂"],
    env: { Z: "1", B: "2", A: "3" },
    resources: { requests: { cpu: "1", memory: "10" } },
    maxReplicas: 3,
  };
  await database.codespecs.put("n", given, isSameCodespec);
  const found = await database.codespecs.find("n");
  expect(found).toMatchObject(given);
  expect(Object.keys(found?.env ?? {})).toEqual(["Z", "B", "A"]);
});

test("the list holds the latest versions in byte order, by pages", async () => {
  const { database } = await openFresh();
  const names = ["-", ".b", "_a", "a", "a-1", "a.1", "a_1", "aa", "b", "z"];
  for (const name of names.toReversed()) {
    await database.codespecs.put(name, codespec, isSameCodespec);
    await database.codespecs.put(name, { ...codespec, image: "debian" }, isSameCodespec);
  }
  const expected = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const listed: string[] = [];
  let after: string | undefined;
  do {
    const page = await database.codespecs.list({ limit: 3, after });
    for (const item of page.items) expect(item).toMatchObject({ version: 2, image: "debian" });
    listed.push(...page.items.map(({ name }) => name));
    // An update while paging repeats nothing.
    await database.codespecs.put("a", { ...codespec, image: "debian" }, isSameCodespec);
    after = page.next;
  } while (after !== undefined);
  expect(listed).toEqual(expected);
  expect(await database.codespecs.list({ limit: 0 })).toEqual({ items: [] });
  expect(await database.codespecs.list({ limit: 10 })).not.toHaveProperty("next");
});

test.each([
  ["", ["a%b", "a_b", "ab", "aXb".toLowerCase()].toSorted()],
  ["a_", ["a_b"]],
  ["a%", ["a%b"]],
  ["a", ["a%b", "a_b", "ab", "axb"]],
  ["A", []],
  ["\\", []],
  ["\0", []],
])("the prefix %j is taken as it is", async (prefix, expected) => {
  const { database } = await openFresh();
  for (const name of ["ab", "a_b", "axb", "a%b"]) await database.codespecs.put(name, codespec, isSameCodespec);
  const { items } = await database.codespecs.list({ limit: 10, prefix });
  expect(items.map(({ name }) => name)).toEqual(expected);
});

test("a name too long for the index is refused as input", async () => {
  const { database } = await openFresh();
  const name = Array.from({ length: 3000 }, (_, place) => `${place * 7919}`).join("");
  await expect(database.codespecs.put(name, codespec, isSameCodespec)).rejects.toMatchObject({ code: "InvalidInput" });
});
