import { createLogParts } from "../../logs/log-parts.ts";
import type { LogParts } from "../../model/ports/log-parts.ts";
import { FakeBucket } from "./bucket.ts";
import { createGcsObjects } from "../../buffers/gcs/gcs-objects.ts";
import { logsIn } from "./locations.ts";

/** The parts of logs in a bucket in memory. */
export const logPartsInMemory = (): LogParts =>
  createLogParts(logsIn(createGcsObjects(new FakeBucket(), "tyger/logs/")));
