/** The two parts of an upload: the object's facts and its bytes. @throws Error that says which rule is broken */
export function readMultipart(contentType: string, body: Buffer): { facts: Record<string, unknown>; bytes: Buffer } {
  const boundary = /^multipart\/related; *boundary="?([^";]+)"?$/.exec(contentType)?.[1];
  if (boundary === undefined) throw new Error("the content type is not multipart/related with a boundary");
  const [first, afterFirst] = partAt(body, `--${boundary}\r\n`, 0, boundary);
  const [second, afterSecond] = partAt(body, `\r\n--${boundary}\r\n`, afterFirst, boundary);
  if (!body.subarray(afterSecond).equals(Buffer.from(`\r\n--${boundary}--`))) {
    throw new Error("the closing delimiter is missing");
  }
  if (!/^application\/json/i.test(first.type)) throw new Error("the first part is not application/json");
  return { facts: JSON.parse(first.content.toString()) as Record<string, unknown>, bytes: second.content };
}

function partAt(body: Buffer, start: string, at: number, boundary: string) {
  if (!body.subarray(at, at + start.length).equals(Buffer.from(start))) throw new Error("a delimiter is missing");
  const head = body.indexOf("\r\n\r\n", at + start.length);
  const end = body.indexOf(`\r\n--${boundary}`, head + 4 - 2);
  if (head < 0 || end < 0) throw new Error("a part does not end");
  const type = /^content-type: *(.+)$/im.exec(body.toString("latin1", at + start.length, head))?.[1] ?? "";
  return [{ type, content: body.subarray(head + 4, Math.max(end, head + 4)) }, end] as const;
}
