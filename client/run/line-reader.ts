/** The lines that came together, without their line feeds. */
export interface LineBatch {
  lines: Buffer[];
  /** The stream ended with this, which has no line feed. */
  cut?: Buffer;
}

/** Splits a byte stream into lines, in batches as they arrive; lines of any length stay whole. */
export async function* lineBatchesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<LineBatch> {
  let pieces: Buffer[] = [];
  for await (const chunk of stream) {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const tail = chunk.subarray(start, end);
      lines.push(pieces.length === 0 ? tail : Buffer.concat([...pieces, tail]));
      pieces = [];
      start = end + 1;
    }
    if (start < chunk.length) pieces.push(chunk.subarray(start));
    if (lines.length > 0) yield { lines };
  }
  if (pieces.length > 0) yield { lines: [], cut: Buffer.concat(pieces) };
}
