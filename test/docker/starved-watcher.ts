import { createDockerWatcher } from "../../docker/watcher.ts";
import { createFakeClaims } from "../fakes/launch-claims.ts";
import { obeyHogging, say } from "../starved-process.ts";

/** Watches an installation and prints each report and each warning. */
const [, , installationId = "", runsDir = ""] = process.argv;
const log = { warn: (facts: object, message: string): void => say({ message, ...facts }) };
const watcher = createDockerWatcher({ installationId, claims: createFakeClaims(), runsDir, log });

obeyHogging();
await watcher.watch(async ({ id }, { state: { container, pump } }) => {
  say({ runId: id, container: container.phase, pump: pump?.phase });
}, new AbortController().signal);
