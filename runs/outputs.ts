import { Readable } from "node:stream";
import { isSameBlob, labelsOf, metadataOf, type BlobLabels, type Blobs } from "../buffers/format/blobs.ts";
import { END_BLOB, START_BLOB } from "../buffers/format/buffer-format.ts";
import { claimBuffer, putEndMark, type EndStatus } from "../buffers/format/owner.ts";
import { CodedError } from "../model/errors.ts";
import type { BlobHead, BufferStore } from "../model/ports/store.ts";
import type { OutputClaim, RunRecords } from "../model/ports/records.ts";
import { outputsOf, type RunOutput } from "../model/run/outputs.ts";
import { writerOf } from "../model/run/pump.ts";
import type { RunRecord } from "../model/run/run.ts";
import { settleAll, within } from "../waiting/bounded.ts";
import { bufferNotFound } from "./buffers.ts";

export interface OutputPorts {
  runs: Pick<RunRecords, "outputClaims" | "releaseOutputs">;
  store: Pick<BufferStore, "head" | "put">;
}

/** A run with outputs has only this replica. */
const REPLICA = 0;

/** A store that does not answer must not hold up the end of a run, nor the repair of others. */
const SETTLE_MS = 10_000;

/**
 * Gives each output of an ended run the end mark that it still needs, so that no reader waits forever, and then lets
 * other runs have the buffers. Repeating it changes nothing.
 * @throws Error after ten seconds
 */
export async function settleOutputs(ports: OutputPorts, run: RunRecord): Promise<void> {
  if (outputsOf(run.job).length === 0) return;
  await within(SETTLE_MS, settle(ports, run), () => new Error("The buffer store does not answer"));
}

async function settle({ runs, store }: OutputPorts, run: RunRecord): Promise<void> {
  await settleAll((await runs.outputClaims(run)).map((claim) => endOutput(store, claim, run)));
  await runs.releaseOutputs(run);
}

async function endOutput(store: OutputPorts["store"], claim: OutputClaim, run: RunRecord): Promise<void> {
  const { bufferId } = claim;
  const writer = writerOf(run, REPLICA);
  try {
    if (await headOf(store, bufferId, END_BLOB)) return;
    const start = await headOf(store, bufferId, START_BLOB);
    const status = endOfOutput(start && labelsOf(start.contentMd5, start.metadata), claim, run);
    if (status === undefined) return;
    const marks = marksIn(store, bufferId);
    // Its start keeps away every later writer; one that came first keeps the buffer.
    if (start || (await claimBuffer(marks, writer))) await putEndMark(marks, writer, status);
  } catch (err) {
    // A damaged mark is an error for every reader, and says nothing about the owner; a purged buffer needs none.
    if (!isCoded(err, "Conflict", "ContainerNotFound")) throw err;
  }
}

/**
 * The end mark of an output that has none, from its start if there is one; undefined when it is another writer's. A run
 * that has succeeded has written all of what it has begun.
 */
export function endOfOutput(
  start: Pick<BlobLabels, "writer"> | undefined,
  { hasToken }: Pick<OutputClaim, "hasToken">,
  run: Pick<RunRecord, "id" | "uid" | "status">,
): EndStatus | undefined {
  if (start === undefined) return "failed";
  const isOurs = start.writer === undefined ? !hasToken : start.writer === writerOf(run, REPLICA);
  if (!isOurs) return undefined;
  return run.status === "Succeeded" ? "complete" : "failed";
}

/** @throws CodedError InvalidInput when a buffer that a run was given for an output has been written, or does not exist */
export async function checkUnwritten(
  store: Pick<BufferStore, "head">,
  { parameter, bufferId }: RunOutput,
): Promise<void> {
  for (const path of [START_BLOB, END_BLOB]) {
    if (!(await isThere(store, bufferId, path))) continue;
    const advice = `give the output '${parameter}' a new one, or none`;
    throw new CodedError("InvalidInput", `The buffer '${bufferId}' has already been written to; ${advice}`);
  }
}

async function isThere(store: Pick<BufferStore, "head">, bufferId: string, path: string): Promise<boolean> {
  try {
    return (await headOf(store, bufferId, path)) !== undefined;
  } catch (err) {
    // A blob that is damaged is there.
    if (isCoded(err, "Conflict")) return true;
    if (isCoded(err, "ContainerNotFound")) throw bufferNotFound(bufferId);
    throw err;
  }
}

/** The head of a blob; undefined when the buffer has none at this path. @throws CodedError ContainerNotFound, Conflict */
async function headOf(store: Pick<BufferStore, "head">, bufferId: string, path: string): Promise<BlobHead | undefined> {
  try {
    return await store.head(bufferId, path);
  } catch (err) {
    if (!isCoded(err, "BlobNotFound")) throw err;
    return undefined;
  }
}

/** The marks of a buffer in the store, as the rule of owners needs them. */
const marksIn = (store: OutputPorts["store"], bufferId: string): Pick<Blobs, "put"> => ({
  async put(path, bytes, labels) {
    try {
      const expect = { contentMd5: labels.md5, metadata: metadataOf(labels) };
      await store.put(bufferId, path, Readable.from([bytes]), expect);
      return true;
    } catch (err) {
      if (!isCoded(err, "UnauthorizedBlobOverwrite")) throw err;
    }
    const { contentMd5, metadata } = await store.head(bufferId, path);
    return isSameBlob(labelsOf(contentMd5, metadata), labels);
  },
});

const isCoded = (err: unknown, ...codes: CodedError["code"][]): boolean =>
  err instanceof CodedError && codes.includes(err.code);
