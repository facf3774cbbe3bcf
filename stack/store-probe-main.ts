import { json } from "node:stream/consumers";
import { openBucket } from "../buffers/gcs/open-bucket.ts";
import { probeBucket } from "../buffers/gcs/probe.ts";
import { messageOf } from "../model/errors.ts";
import { storeProbeSchema, type StoreProbeAnswer } from "./store-probe.ts";

/** A short process, because the command line must not carry a client of a bucket: reads the bucket from stdin, writes its answer to stdout. */
const { bucket, prefix, endpoint } = storeProbeSchema.parse(await json(process.stdin));
const answer = await probeBucket(openBucket({ bucket, endpoint, outageMs: 5000, stallMs: 10_000 }), prefix).then(
  (lines): StoreProbeAnswer => ({ lines }),
  (err: unknown): StoreProbeAnswer => ({ problem: messageOf(err) }),
);
process.stdout.write(JSON.stringify(answer), () => process.exit(0));
