import { expect, test } from "vitest";
import { readEntries, UnreadableLogError } from "../../../docker/log/log-entries.ts";

/** As the engine frames one entry. */
function frame(text: string, stream = 1): Buffer {
  const body = Buffer.from(stream === 3 ? text : `2026-01-01T00:00:00.000000000Z ${text}`);
  const header = Buffer.alloc(8);
  header[0] = stream;
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

test("the engine's own message is an error after the entries before it, not a line of the log", async () => {
  const bytes = Buffer.concat([frame("one\n"), frame("Error grabbing logs: no such file or directory\n", 3)]);
  let text = "";
  const reading = async (): Promise<void> => {
    for await (const entries of readEntries([bytes] as unknown as AsyncIterable<Buffer>))
      for (const entry of entries) text += entry.text.toString();
  };
  await expect(reading()).rejects.toThrow(new UnreadableLogError("Error grabbing logs: no such file or directory"));
  expect(text).toBe("one\n");
});
