/**
 * Large buffers that are used again: a new one for each blob keeps the garbage collector as busy as the transfer itself.
 */
export class SpareBuffers {
  readonly #spare: ArrayBufferLike[] = [];

  /** A buffer of `sizeBytes`, its content undefined. */
  take(sizeBytes: number): Buffer {
    const memory = this.#spare.pop();
    if (memory && memory.byteLength >= sizeBytes) return Buffer.from(memory, 0, sizeBytes);
    return Buffer.allocUnsafeSlow(sizeBytes);
  }

  /** Takes back what {@link SpareBuffers.take} gave, or a part of it; nobody may look at it any more. */
  giveBack(bytes: Uint8Array): void {
    this.#spare.push(bytes.buffer);
  }
}
