import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The files of the program that is running, as source or as bundle. */
export interface Installation {
  root: string;
  /** Contains the bundles that the supervisor starts. */
  dist: string;
  temporalConfig: string;
}

const STARTED = ["supervisor.js", "api.js", "worker.js", "pump.js", "store-probe.js", "cluster.js", "workflows.js"];

/** Searches upward for our temporal-dev.yaml: source files and bundles are at different depths. */
export function findInstallation(from: string = import.meta.dirname): Installation {
  let root = from;
  while (!existsSync(join(root, "temporal-dev.yaml"))) {
    if (dirname(root) === root) throw new Error(`Found no installation of tyger above '${from}'`);
    root = dirname(root);
  }
  return { root, dist: join(root, "dist"), temporalConfig: join(root, "temporal-dev.yaml") };
}

/**
 * A hash of everything that the stack runs, by which `up` notices another build.
 * @throws Error naming a file that is not built.
 */
export function versionOf({ dist, temporalConfig }: Installation): string {
  const hash = createHash("sha256");
  for (const file of [...STARTED.map((name) => join(dist, name)), temporalConfig]) {
    if (!existsSync(file)) throw new Error(`'${file}' is missing; run 'npm run build' first`);
    hash.update(readFileSync(file));
  }
  return hash.digest("hex").slice(0, 12);
}
