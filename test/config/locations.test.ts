import { expect, test } from "vitest";
import { locationAt, locationsOf } from "../../config/locations.ts";

const variables = { TYGER_DATA_DIR: "/data" };
const LOCAL = { name: "local", folder: "/data" };

test("without locations the data folder is the one", () => {
  expect(locationsOf({}, variables)).toEqual([LOCAL]);
});

test("the stores of 'tyger up' are locations whose names are derived from their URLs", () => {
  const locations = locationsOf({}, { ...variables, TYGER_STORES: "gs://abc/x/y local gs://abc" });
  expect(locations).toEqual([
    { name: "abc-a807bf51", bucket: "abc", prefix: "x/y/" },
    LOCAL,
    { name: expect.stringMatching(/^abc-[0-9a-f]{8}$/), bucket: "abc", prefix: "" },
  ]);
  expect(new Set(locations.map(({ name }) => name)).size).toBe(3);
  expect(locationAt("gs://abc/x/y/", "/data")).toEqual(locations[0]);
  expect(locationAt(`gs://${"a".repeat(200)}`, "/data").name).toMatch(/^a{48}-[0-9a-f]{8}$/);
});

test("an emulator is the endpoint of buckets that have none", () => {
  const locations = [LOCAL, { name: "a", bucket: "abc", prefix: "" }, { name: "b", bucket: "abc", prefix: "b/" }];
  const own = { ...locations[2], name: "c", endpoint: "https://storage.example.com" } as const;
  for (const STORAGE_EMULATOR_HOST of ["localhost:9199", "http://localhost:9199/"]) {
    const read = locationsOf({ locations: [...locations, own] as never }, { ...variables, STORAGE_EMULATOR_HOST });
    expect(read.map((location) => "endpoint" in location && location.endpoint)).toEqual([
      false,
      "http://localhost:9199",
      "http://localhost:9199",
      "https://storage.example.com",
    ]);
  }
});

test.each([
  ["gs://", "must be gs://BUCKET, gs://BUCKET/PREFIX or 'local'"],
  ["s3://abc", "must be gs://BUCKET, gs://BUCKET/PREFIX or 'local'"],
  ["abc", "must be gs://BUCKET, gs://BUCKET/PREFIX or 'local'"],
  ["gs://ABC", "must be the name of a bucket, without gs://"],
  ["gs://abc//x", "must be segments of letters, digits, '.', '_', '=' and '-', with '/' between them"],
  ["gs://abc/..", "must be segments of letters, digits, '.', '_', '=' and '-', with '/' between them"],
])("the store %j is refused", (url, reason) => {
  expect(() => locationAt(url, "/data")).toThrow(`The store '${url}' is not valid: ${reason}`);
});

test("a file with locations and a store of 'tyger up' contradict each other", () => {
  expect(() => locationsOf({ locations: [LOCAL] }, { ...variables, TYGER_STORES: "local" })).toThrow("are both set");
});
