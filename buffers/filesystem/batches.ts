/** Size of one read or write on the disk. */
const BATCH_BYTES = 256 * 1024;
/** Two for each blob in flight, for as many blobs as a busy client moves at once. */
const SPARE_BATCHES = 64;

const spare: Buffer[] = [];

/**
 * Reused memory for bytes in flight: with a new buffer for each piece, garbage collection outside the heap costs more
 * than the rest of a transfer.
 */
export const takeBatch = (): Buffer => spare.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES);

/** Takes back what {@link takeBatch} gave; the caller must not use it anymore. */
export function giveBackBatch(batch: Buffer): void {
  if (spare.length < SPARE_BATCHES) spare.push(batch);
}
