import { createHash, randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BlobHash } from "../../../buffers/format/blob-hash.ts";

const MIB = 1024 * 1024;
let hash: BlobHash;
beforeEach(() => {
  hash = new BlobHash();
});
afterEach(() => hash.close());

const md5 = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("base64");
/** Bytes with their own memory, as the hash requires. */
const copyOf = (bytes: Uint8Array): Buffer => {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
};

test("small and large, early and late, each blob gets its own MD5 and its bytes back", async () => {
  const sizes = [0, 1, 5000, 4 * MIB, 8 * MIB, 8 * MIB, 4 * MIB, 700, 3 * MIB + 1, 256 * 1024];
  const blobs = sizes.map((size) => randomBytes(size));
  const hashed = await Promise.all(blobs.map((blob) => hash.take(copyOf(blob))));
  expect(hashed.map((one) => one.md5)).toEqual(blobs.map(md5));
  expect(hashed.map(({ bytes }, i) => bytes.equals(blobs[i]!))).toEqual(sizes.map(() => true));
});

test("the bytes keep their memory, which is moved and not copied", async () => {
  const late = new BlobHash();
  await late.take(Buffer.alloc(16 * MIB));
  const memory = Buffer.allocUnsafeSlow(MIB).fill(7).buffer;
  const given = Buffer.from(memory, 0, 300_000);
  const { bytes } = await late.take(given);
  expect([given.length, bytes.length, bytes.buffer.byteLength]).toEqual([0, 300_000, MIB]);
  late.close();
});

test("blobs that are taken piece by piece, at the same time, have the MD5 of all their pieces", async () => {
  const blobs = [3, 1, 2].map((count) => Array.from({ length: count }, () => randomBytes(300_000)));
  const hashes = blobs.map(() => hash.pieces());
  const ends = await Promise.all(
    [0, 1, 2].flatMap((at) =>
      blobs.map(async (pieces, index) => {
        const piece = pieces[at];
        return piece && hashes[index]!.take(copyOf(piece), at === pieces.length - 1);
      }),
    ),
  );
  const ofLasts = blobs.map((pieces, index) => ends[(pieces.length - 1) * blobs.length + index]!.md5);
  expect(ofLasts).toEqual(blobs.map((pieces) => md5(Buffer.concat(pieces))));
});

test("a blob that was dropped leaves nothing to the next", async () => {
  const dropped = hash.pieces();
  await dropped.take(copyOf(randomBytes(1000)), false);
  dropped.drop();
  const bytes = randomBytes(1000);
  expect((await dropped.take(copyOf(bytes), true)).md5).toBe(md5(bytes));
});
