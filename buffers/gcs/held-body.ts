import type { Readable } from "node:stream";

/** A body that is held can be sent again. A block of our writers has 4 MiB; clients can choose larger ones. */
const MOST_BYTES = 8 * 1024 * 1024;
/** Of all uploads of a process at a time. The bodies above that are streams, however small. */
const MOST_BYTES_IN_ALL = 48 * 1024 * 1024;

let heldBytes = 0;

/** All of a body, or its pieces as they arrive. */
export type Content = Uint8Array | AsyncIterable<Uint8Array>;

/** Gives `use` all of `body` in memory, or a stream when it is too large for that; memory is bounded in any case. */
export async function withContent<T>(body: Readable, use: (content: Content) => Promise<T>): Promise<T> {
  const held: Uint8Array[] = [];
  let bytes = 0;
  // Left as it is when it is not needed anymore: a request whose body is destroyed cannot be answered.
  const pieces = body.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Uint8Array>;
  try {
    while (bytes < MOST_BYTES && heldBytes < MOST_BYTES_IN_ALL) {
      const { value, done } = await pieces.next();
      if (done) return await use(takeAll(held, bytes));
      held.push(value);
      bytes += value.length;
      heldBytes += value.length;
    }
    return await use(continued(held, pieces));
  } finally {
    heldBytes -= bytes;
  }
}

/** The pieces as one, and none of them twice in memory. */
function takeAll(held: Uint8Array[], bytes: number): Buffer {
  const whole = Buffer.concat(held, bytes);
  held.length = 0;
  return whole;
}

async function* continued(held: Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  for (let piece = held.shift(); piece !== undefined; piece = held.shift()) yield piece;
  for (;;) {
    const { value, done } = await rest.next();
    if (done) return;
    yield value;
  }
}
