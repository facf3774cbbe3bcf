import { Readable } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openBucketLocation } from "../../buffers/bucket-location.ts";
import type { OpenLocation } from "../../buffers/location.ts";
import type { LocationRecords } from "../../model/ports/records.ts";
import { newBufferId } from "../../runs/buffers.ts";
import { GcsServer } from "../fakes/gcs-server.ts";
import { openBucket } from "../../buffers/gcs/open-bucket.ts";

let server: GcsServer;
let endpoint: string;
let lines: string[];
let used: Set<string>;
const startWith = async (bucket: Record<string, unknown>): Promise<void> => {
  server = new GcsServer({ bucket });
  endpoint = await server.listen();
};
beforeEach(async () => {
  lines = [];
  used = new Set();
  await startWith({});
});
afterEach(() => server.close());

const INSTALLATION = "abcdefghij";
const records: LocationRecords = {
  has: async (name) => used.has(name),
  names: async () => [...used],
  add: async (name) => void used.add(name),
};
const note = (level: string) => (facts: object, message: string) => {
  const { location: _, bucket: __, ...rest } = facts as Record<string, unknown>;
  lines.push(`${level} ${message} ${JSON.stringify(rest)}`);
};
const log = { info: note("info"), warn: note("warn"), error: note("error") };

/** A process with a location in this bucket. */
function open(prefix = ""): OpenLocation {
  const location = { name: "cloud", bucket: server.bucket, prefix, endpoint };
  return openBucketLocation(
    location,
    { records, installationId: INSTALLATION },
    openBucket({ ...location, outageMs: 1 }),
  );
}
async function newBuffer({ store }: OpenLocation): Promise<string> {
  const id = newBufferId();
  await store.provision(id);
  await store.put(id, "00/000", Readable.from([Buffer.from("x")]), { metadata: {} });
  return id;
}

test("buffers and logs have the installation in their names, and the location is marked once it is used", async () => {
  const location = open("team/a/");
  expect(server.objects.size).toBe(0);
  const id = await newBuffer(location);
  await location.objects.put("0/7.log", Readable.from([Buffer.from("log")]));
  const names = ["-location", `buffers/${id}/-container`, `buffers/${id}/00/000`, "logs/0/7.log"];
  expect([...server.objects.keys()].toSorted()).toEqual(
    names.map((name) => `team/a/${INSTALLATION}/${name}`).toSorted(),
  );
  expect([...used]).toEqual(["cloud"]);
  expect((await open("team/a/").store.head(id, "00/000")).sizeBytes).toBe(1);
});

test("a location that is new and only read is not marked", async () => {
  expect([await open().store.exists(newBufferId()), server.objects.size, used.size]).toEqual([false, 0, 0]);
});

test("another bucket or prefix than before is a location that is away, not an empty one", async () => {
  const id = await newBuffer(open("a/"));
  const moved = open("b/");
  const away = {
    code: "Unavailable",
    message: `The object 'gs://test-bucket/b/${INSTALLATION}/-location' of the location 'cloud' is missing; correct the bucket and its prefix, or create it if the data is lost`,
  };
  await expect(moved.store.exists(id)).rejects.toMatchObject(away);
  await expect(moved.store.head(id, "00/000")).rejects.toMatchObject(away);
  await expect(moved.objects.head("0/7.log")).rejects.toMatchObject(away);
  await expect(moved.objects.get("0/7.log", { from: 0, to: 1 })[Symbol.asyncIterator]().next()).rejects.toMatchObject(
    away,
  );
  await expect(newBuffer(moved)).rejects.toMatchObject(away);
  await expect(moved.check()).rejects.toMatchObject(away);
  expect([...server.objects.keys()].filter((name) => name.startsWith("b/"))).toEqual([]);
});

test("a bucket that is away is one error for each call, and works when it is back", async () => {
  const location = open();
  const id = await newBuffer(location);
  server.bucketExists = false;
  const away = { code: "Unavailable", message: "The bucket 'test-bucket' does not exist" };
  await expect(open().store.head(id, "00/000")).rejects.toMatchObject(away);
  await expect(open().report(log)).rejects.toMatchObject(away);
  // It answered a moment ago, so its mark counts as missing.
  await expect(location.check()).rejects.toMatchObject({ code: "Unavailable" });
  expect(lines).toEqual([]);
  server.bucketExists = true;
  expect((await location.store.head(id, "00/000")).sizeBytes).toBe(1);
  await location.check();
});

test("a bucket that we may not read is one error", async () => {
  server.fail(403, () => true, 100);
  await expect(open().report(log)).rejects.toMatchObject({
    code: "Unavailable",
    message: "The bucket 'test-bucket' refuses access: injected 403",
  });
});

test("the settings of a bucket are reported in one line each", async () => {
  await open().report(log);
  expect(lines.splice(0)).toEqual([
    'info the location of the bucket {"region":"EUROPE-WEST4"}',
    "warn uniform bucket-level access is off: grants for direct transfers need it {}",
    "info soft delete is off {}",
    "info versioning is off {}",
    "info there is no retention policy {}",
  ]);
  await server.close();
  await startWith({
    iamConfiguration: { uniformBucketLevelAccess: { enabled: true } },
    softDeletePolicy: { retentionDurationSeconds: "604800" },
    versioning: { enabled: true },
    retentionPolicy: { retentionPeriod: "3600" },
  });
  used.clear();
  await open().report(log);
  expect(lines).toEqual([
    'info the location of the bucket {"region":"EUROPE-WEST4"}',
    "info uniform bucket-level access is on {}",
    'warn soft delete is on: the bucket keeps purged buffers {"days":7}',
    "warn versioning is on: the bucket keeps purged buffers {}",
    'warn there is a retention policy: buffers cannot be purged earlier {"seconds":3600}',
  ]);
});

test("settings that we may not read are a warning: objects need no such permission", async () => {
  server.fail(403, "settings");
  await open().report(log);
  const reason = "The bucket 'test-bucket' refuses access: injected 403";
  expect(lines).toEqual([`warn the settings of the bucket cannot be read {"reason":"${reason}"}`]);
});
