/** What the disk is given or asked for at a time. */
const BATCH_BYTES = 256 * 1024;
/** Two for each blob on its way, of as many blobs as a busy client moves at once. */
const SPARE_BATCHES = 64;

const spare: Buffer[] = [];

/**
 * Memory for bytes on their way, used again: outside the heap, new buffers for each piece keep the garbage collector
 * busier than all the rest of a transfer.
 */
export const takeBatch = (): Buffer => spare.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES);

/** Takes back what {@link takeBatch} gave; nobody may look at it any more. */
export function giveBackBatch(batch: Buffer): void {
  if (spare.length < SPARE_BATCHES) spare.push(batch);
}
