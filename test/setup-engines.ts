import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { settleDatabase, settleTemporal } from "../stack/services.ts";
import { EXAMPLE_IMAGE } from "../stack/docker/image.ts";
import { findInstallation } from "../stack/host/installation.ts";
import { KeptProcess } from "../stack/supervisor/kept-process.ts";
import { postgresSpec } from "../stack/postgres/postgres.ts";
import { temporalAddressOf, temporalSpec } from "../stack/temporal/temporal.ts";
import { openTestHome, provideImageOn, provideTestImage } from "./test-image.ts";

const report = (line: string): void => void process.stderr.write(`engines: ${line}\n`);

/** Starts Postgres and Temporal of this test run's own, and sees to Docker and the test image; ends what it started. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  project.provide("testImage", EXAMPLE_IMAGE);
  // Whole stacks bring their engines along.
  if (project.name === "e2e") return provideTestImage(report);
  const { home, config, remove } = await openTestHome();
  const { stateDir } = config.paths;
  const [postgres, temporal, leaveEngine] = await Promise.all([
    settleDatabase(config, report),
    settleTemporal(config, findInstallation().temporalConfig, report),
    provideImageOn(config, report),
  ]);
  if (postgres.kind !== "embedded" || temporal.kind !== "dev") throw new Error("The tests run on engines of their own");
  const specs = [
    postgresSpec(postgres, join(stateDir, "postgres.log")),
    temporalSpec(temporal, join(stateDir, "temporal.log"), { PATH: config.path, HOME: home }),
  ];
  const kept = specs.map((spec) => new KeptProcess(spec, { onChange: () => {}, log: report }));
  const tearDown = async (): Promise<void> => {
    await Promise.all(kept.map((one) => one.stop()));
    await leaveEngine();
    await remove();
  };
  await Promise.all(kept.map((one) => one.start()));
  project.provide("postgresUrl", postgres.url);
  project.provide("temporalAddress", temporalAddressOf(temporal));
  return tearDown;
}
