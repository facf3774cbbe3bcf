import { expect, test } from "vitest";
import { readEntries } from "../../../docker/log/log-entries.ts";

/** As the engine frames one entry. */
function frame(text: string): Buffer {
  const body = Buffer.from(`2026-01-01T00:00:00.000000000Z ${text}`);
  const header = Buffer.alloc(8);
  header[0] = 1;
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

async function textOf(...chunks: Buffer[]): Promise<string> {
  let text = "";
  async function* body(): AsyncGenerator<Buffer> {
    yield* chunks;
  }
  for await (const entries of readEntries(body())) for (const entry of entries) text += entry.text.toString();
  return text;
}

test("entries are read from whatever pieces they come in", async () => {
  const bytes = Buffer.concat([frame("one\n"), frame("two\n")]);
  expect(await textOf(...Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)))).toBe("one\ntwo\n");
});

test.each([3, 20])("a stream that ends %i bytes into an entry was cut off", async (length) => {
  await expect(textOf(frame("one\n"), frame("two\n").subarray(0, length))).rejects.toThrow("middle of an entry");
});
