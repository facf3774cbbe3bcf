import { stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { createFilesystemStore } from "../../../buffers/filesystem/filesystem-store.ts";
import { storedBlobs } from "../../../buffers/filesystem/stored-blobs.ts";
import { fromUrl } from "../../../buffers/access/access.ts";
import { blobsOver } from "../../../buffers/access/blob-client.ts";
import type { BlobSource } from "../../../buffers/format/blobs.ts";
import { testBlobs } from "../../ports/blobs.ts";
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
