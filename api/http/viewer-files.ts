import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errnoOf } from "../../model/errors.ts";

/** The files of Swagger UI that the page of the OpenAPI document needs. `build.ts` puts them beside the bundle. */
export const VIEWER_FILES = ["swagger-ui.css", "swagger-ui-bundle.js"] as const;

/** A file of the viewer: from the package beside the bundle, or from the development package in a checkout. */
export async function readViewerFile(name: (typeof VIEWER_FILES)[number]): Promise<Buffer> {
  try {
    return await readFile(new URL(`viewer/${name}`, import.meta.url));
  } catch (err) {
    if (errnoOf(err) !== "ENOENT") throw err;
    const folder = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
    return readFile(join(folder, name));
  }
}
