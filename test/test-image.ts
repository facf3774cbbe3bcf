import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readStackConfig, type StackConfig } from "../config/stack.ts";
import { findDocker } from "../stack/docker/docker.ts";
import { leaveDockerd } from "../stack/docker/dockerd.ts";
import { provideExampleImage } from "../stack/docker/image.ts";

type Report = (line: string) => void;

/** A data folder of this test run's own, and the configuration of a stack in it. */
export async function openTestHome(): Promise<{
  home: string;
  config: StackConfig;
  remove(this: void): Promise<void>;
}> {
  const home = await mkdtemp(join(tmpdir(), "tyger-test-"));
  // Postgres runs as another user when the tests run as root.
  await chmod(home, 0o711);
  const { DATABASE_URL: _url, TEMPORAL_ADDRESS: _address, ...env } = process.env;
  const config = readStackConfig({ ...env, TYGER_DATA_DIR: home });
  await mkdir(config.paths.stateDir, { recursive: true });
  return { home, config, remove: () => rm(home, { recursive: true, force: true }) };
}

/** Finds or starts a Docker engine and sees to the test image on it. @returns what gives the engine back */
export async function provideImageOn(config: StackConfig, report: Report): Promise<() => Promise<void>> {
  const { engine, claim } = await findDocker({ ...config, runtimeDir: config.paths.runtimeDir, report });
  await provideExampleImage({ engine, path: config.path, uid: config.uid, report });
  return async () => {
    await claim[Symbol.asyncDispose]();
    await leaveDockerd(config.paths, report);
  };
}

/** As {@link provideImageOn}, for suites that need nothing else. */
export async function provideTestImage(report: Report): Promise<() => Promise<void>> {
  const { config, remove } = await openTestHome();
  const leaveEngine = await provideImageOn(config, report);
  return async () => {
    await leaveEngine();
    await remove();
  };
}
