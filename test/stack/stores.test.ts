import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readStackConfig } from "../../config/stack.ts";
import { settleStores } from "../../stack/stores.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "tyger-stores-"));
  mkdirSync(join(home, "state"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

/** `tyger up`, as far as it is about stores. */
function up(store?: string, env: Record<string, string> = {}): ReturnType<typeof settleStores> {
  const settled = settleStores(readStackConfig({ TYGER_DATA_DIR: home, ...env }, 1), store);
  settled.keep();
  return settled;
}

test("without a choice, the servers decide", () => {
  expect(up()).toMatchObject({ stores: undefined, variables: {}, bucket: undefined });
});

test("a choice is kept, and former ones stay readable", () => {
  const { bucket, variables } = up("gs://abc/x/");
  expect([variables, bucket]).toEqual([
    { TYGER_STORES: "gs://abc/x" },
    expect.objectContaining({ bucket: "abc", prefix: "x/" }),
  ]);
  expect(up()).toMatchObject({ variables, bucket: undefined });
  expect(up("gs://def").variables).toEqual({ TYGER_STORES: "gs://def gs://abc/x" });
  expect(up("gs://abc/x").variables).toEqual({ TYGER_STORES: "gs://abc/x gs://def" });
  expect(up("local")).toMatchObject({ variables: { TYGER_STORES: "local gs://abc/x gs://def" }, bucket: undefined });
  expect(up("gs://def").variables).toEqual({ TYGER_STORES: "gs://def gs://abc/x" });
});

test("the data folder alone does not count as a choice", () => {
  expect(up("local").variables).toEqual({});
  expect(up().variables).toEqual({});
});

test("the emulator of a choice is kept with it: its buckets are not Google's of the same name", () => {
  const emulator = "localhost:9199";
  const variables = { TYGER_STORES: "gs://abc", STORAGE_EMULATOR_HOST: emulator };
  expect(up("gs://abc", { STORAGE_EMULATOR_HOST: emulator })).toMatchObject({
    variables,
    bucket: { bucket: "abc", endpoint: "http://localhost:9199" },
  });
  expect(up().variables).toEqual(variables);
});

test.each(["gs://", "/data", "gs://UPPER", "gs://abc/../x"])(
  "the store %j is refused, and nothing is kept",
  (store) => {
    expect(() => up(store)).toThrow(`The store '${store}' is not valid`);
    expect(up().variables).toEqual({});
  },
);

test("locations of the configuration file and a choice contradict each other, and the way out is named", () => {
  const TYGER_CONFIG = join(home, "tyger.yml");
  writeFileSync(TYGER_CONFIG, "locations: [{ name: a, folder: /a }]");
  up("gs://abc");
  const message = `The configuration file has 'locations', but 'tyger up --store' has chosen others; add them to the file, { name: abc-ee08f010, bucket: abc, prefix: '' }, and remove '${join(home, "state", "stores.json")}'`;
  expect(() => up(undefined, { TYGER_CONFIG })).toThrow(message);
});

test("a choice that cannot be read is not taken for none", () => {
  writeFileSync(join(home, "state", "stores.json"), "{");
  expect(() => up()).toThrow("which names the stores of buffers, cannot be read");
});
