import { randomBytes } from "node:crypto";
import type { Bucket } from "./bucket.ts";
import { linesOf, type SettingLine } from "./settings-lines.ts";

/**
 * Tries each call that buffers need, with an object that it removes, before something relies on the bucket.
 * @returns the settings; none when they cannot be read, for which objects need no permission
 * @throws CodedError Unavailable in one sentence
 */
export async function probeBucket(bucket: Bucket, prefix: string): Promise<SettingLine[]> {
  const name = `${prefix}-probe-${randomBytes(6).toString("hex")}`;
  await bucket.create(name, Buffer.from("probe"), { metadata: {} });
  try {
    for await (const _ of bucket.read(name, { from: 0, to: 5 }));
    await bucket.list({ prefix: name, limit: 1 });
  } finally {
    await bucket.remove(name);
  }
  return bucket.settings().then(linesOf, () => []);
}
