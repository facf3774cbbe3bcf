import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { readStackConfig } from "../config/stack.ts";
import { findDocker } from "../stack/docker/docker.ts";
import { leaveDockerd } from "../stack/docker/dockerd.ts";
import { settleDatabase, settleTemporal } from "../stack/services.ts";
import { EXAMPLE_IMAGE, provideExampleImage } from "../stack/docker/image.ts";
import { findInstallation } from "../stack/host/installation.ts";
import { KeptProcess } from "../stack/supervisor/kept-process.ts";
import { postgresSpec } from "../stack/postgres/postgres.ts";
import { temporalAddressOf, temporalSpec } from "../stack/temporal/temporal.ts";

const report = (line: string): void => void process.stderr.write(`engines: ${line}\n`);

/** Starts Postgres and Temporal of this test run's own, and sees to Docker and the test image; ends what it started. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const home = await mkdtemp(join(tmpdir(), "tyger-test-"));
  // Postgres runs as another user when the tests run as root.
  await chmod(home, 0o711);
  const { DATABASE_URL: _url, TEMPORAL_ADDRESS: _address, ...env } = process.env;
  const config = readStackConfig({ ...env, TYGER_DATA_DIR: home });
  const { stateDir, runtimeDir } = config.paths;
  await mkdir(stateDir, { recursive: true });

  const provideImage = async () => {
    const { engine, claim } = await findDocker({ ...config, runtimeDir, report });
    await provideExampleImage({ engine, path: config.path, uid: config.uid, report });
    return claim;
  };
  project.provide("testImage", EXAMPLE_IMAGE);
  const removeHome = () => rm(home, { recursive: true, force: true });
  // Whole stacks bring their engines along.
  if (project.name === "e2e") {
    const claim = await provideImage();
    return async () => {
      await claim[Symbol.asyncDispose]();
      await leaveDockerd(config.paths, report);
      await removeHome();
    };
  }
  const [postgres, temporal, claim] = await Promise.all([
    settleDatabase(config, report),
    settleTemporal(config, findInstallation().temporalConfig, report),
    provideImage(),
  ]);
  if (postgres.kind !== "embedded" || temporal.kind !== "dev") throw new Error("The tests run on engines of their own");
  const specs = [
    postgresSpec(postgres, join(stateDir, "postgres.log")),
    temporalSpec(temporal, join(stateDir, "temporal.log"), { PATH: config.path, HOME: home }),
  ];
  const kept = specs.map((spec) => new KeptProcess(spec, { onChange: () => {}, log: report }));
  const tearDown = async (): Promise<void> => {
    await Promise.all(kept.map((one) => one.stop()));
    await claim[Symbol.asyncDispose]();
    await leaveDockerd(config.paths, report);
    await removeHome();
  };
  await Promise.all(kept.map((one) => one.start()));
  project.provide("postgresUrl", postgres.url);
  project.provide("temporalAddress", temporalAddressOf(temporal));
  return tearDown;
}
