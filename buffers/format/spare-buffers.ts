/**
 * Reuses large buffers: with a new one for each blob, garbage collection costs as much as the transfer itself.
 */
export class SpareBuffers {
  readonly #spare: ArrayBufferLike[] = [];

  /** A buffer of `sizeBytes`, its content undefined. */
  take(sizeBytes: number): Buffer {
    const memory = this.#spare.pop();
    if (memory && memory.byteLength >= sizeBytes) return Buffer.from(memory, 0, sizeBytes);
    return Buffer.allocUnsafeSlow(sizeBytes);
  }

  /** Takes back a buffer from {@link SpareBuffers.take}, or a part of it; the caller must not use it anymore. */
  giveBack(bytes: Uint8Array): void {
    this.#spare.push(bytes.buffer);
  }
}
