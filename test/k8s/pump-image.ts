import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { EXAMPLE_IMAGE } from "../../stack/docker/image.ts";

const run = promisify(execFile);

/** The example image with the Node that executes the tests, for clusters that reach no registry. */
export const PUMP_IMAGE = `tyger-test-node:${process.versions.node.split(".")[0]}`;

/** Builds {@link PUMP_IMAGE} on the Docker engine of this machine, unless it is there. */
export async function buildPumpImage(): Promise<void> {
  const isThere = await run("docker", ["image", "inspect", PUMP_IMAGE]).then(
    () => true,
    () => false,
  );
  if (isThere) return;
  const folder = await mkdtemp(join(tmpdir(), "tyger-node-"));
  const [home, bin] = [join(folder, "opt/node"), join(folder, "usr/local/bin")];
  const container = basename(folder).toLowerCase();
  try {
    await mkdir(join(home, "lib"), { recursive: true });
    await mkdir(bin, { recursive: true });
    // Its libraries stay apart from those of the image, which can have others or none.
    const { stdout } = await run("ldd", [process.execPath]);
    const libraries = stdout.split("\n").flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
    const loader = libraries.find((path) => basename(path).startsWith("ld-")) ?? "";
    for (const path of libraries) await cp(path, join(home, "lib", basename(path)), { dereference: true });
    await cp(process.execPath, join(home, "node"), { dereference: true });
    const line = `exec /opt/node/lib/${basename(loader)} --library-path /opt/node/lib /opt/node/node "$@"`;
    await writeFile(join(bin, "node"), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
    await run("tar", ["-cf", join(folder, "node.tar"), "--owner=0", "--group=0", "-C", folder, "opt", "usr"]);
    await run("docker", ["create", "--name", container, EXAMPLE_IMAGE]);
    await run("bash", ["-c", 'docker cp - "$1:/" < "$2"', "bash", container, join(folder, "node.tar")]);
    await run("docker", ["commit", container, PUMP_IMAGE]);
  } finally {
    await run("docker", ["rm", "--force", container]).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}
