import { registerHooks } from "node:module";

/** A process that makes two calls to a bucket, or opens a folder, and prints their ends and which files of interest it loaded. */
const loaded = new Set<string>();
registerHooks({
  load(url, context, next) {
    for (const name of ["@google-cloud/storage", "google-auth-library", "buffers/gcs"]) {
      if (url.includes(`/${name}/`)) loaded.add(name);
    }
    return next(url, context);
  },
});

const [kind = "", place = ""] = process.argv.slice(2);
const ends: string[] = [];
if (kind === "folder") {
  const { openLocations } = await import("../../../buffers/locations.ts");
  const records = { has: async () => false, names: async () => [], add: async () => {} };
  const options = { dataDir: place, records, installationId: "abcdefghij" };
  await (await openLocations([{ name: "local", folder: place }], options)).check();
  ends.push("checked");
} else {
  const { openBucket } = await import("../../../buffers/gcs/open-bucket.ts");
  const bucket = openBucket({ bucket: "test-bucket", endpoint: place, outageMs: 1000 });
  for (const name of ["a", "b"]) {
    const end = await bucket.create(name, Buffer.from(name), { metadata: {} }).then(
      (created) => created?.name ?? "taken",
      (err: unknown) => String(err),
    );
    ends.push(end);
  }
}
process.stdout.write(JSON.stringify({ ends, loaded: [...loaded].toSorted() }), () => process.exit(0));
