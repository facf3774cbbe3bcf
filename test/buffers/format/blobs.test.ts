import { stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { createFilesystemStore } from "../../../buffers/filesystem/filesystem-store.ts";
import { storedBlobs } from "../../../buffers/format/stored-blobs.ts";
import { fromUrl } from "../../../buffers/access/access.ts";
import { blobsOver } from "../../../buffers/access/blob-client.ts";
import type { BlobSource } from "../../../buffers/format/blobs.ts";
import { FakeBucket } from "../../fakes/bucket.ts";
import { createGcsStore } from "../../../buffers/gcs/gcs-store.ts";
import { testBlobs } from "../../ports/blobs.ts";
import { newBufferId } from "../../../runs/buffers.ts";
import { startDataPlane, type TestDataPlane } from "../../data-plane.ts";

let plane: TestDataPlane;
beforeAll(async () => {
  plane = await startDataPlane();
});
afterAll(() => plane?.close());

const ways: Record<string, (bufferId: string) => BlobSource> = {
  "a signed URL": (id) => blobsOver(fromUrl(plane.urlOf(id, true))),
  "the store's folder": (id) => storedBlobs(createFilesystemStore(join(plane.dir, "buffers")), id),
};

describe.each(Object.entries(ways))("blobs over %s", (_name, reach) => {
  testBlobs(
    async () => {
      const id = await plane.newBuffer();
      const damage = async (path: string): Promise<void> => {
        const file = join(plane.dir, "buffers", id, path.replaceAll("/", "-"));
        await truncate(file, (await stat(file)).size - 1);
      };
      return { source: reach(id), damage };
    },
    () => reach("x".repeat(26)),
  );
});

describe("blobs in a bucket", () => {
  const bucket = new FakeBucket();
  const store = createGcsStore(bucket, "buffers/");
  testBlobs(
    async () => {
      const id = newBufferId();
      await store.provision(id);
      return { source: storedBlobs(store, id), damage: async (path) => bucket.damage(`buffers/${id}/${path}`) };
    },
    () => storedBlobs(store, "x".repeat(26)),
  );
});
