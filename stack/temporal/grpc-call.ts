import { connect } from "node:http2";

/** What a gRPC server answered: its status, 0 for success, and the bytes of the message. */
export interface GrpcAnswer {
  status: number;
  message: Buffer;
}

/**
 * One call without TLS, spoken by hand: the client packages take 300 ms to load. Undefined when what listens at
 * `address` does not speak gRPC, or not within `timeoutMs`.
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
export function callGrpc(
  address: string,
  path: string,
  message: Buffer,
  timeoutMs: number,
): Promise<GrpcAnswer | undefined> {
  return new Promise((resolve) => {
    const session = connect(`http://${address}`);
    const finish = (answer?: GrpcAnswer) => {
      clearTimeout(timer);
      session.destroy();
      resolve(answer);
    };
    const timer = setTimeout(finish, timeoutMs);
    session.once("error", () => finish());
    session.once("close", () => finish());
    const request = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const chunks: Buffer[] = [];
    let status: number | undefined;
    // A call that fails has its status in the headers, for no message comes before it.
    const take = (headers: Record<string, unknown>) => {
      if (headers["grpc-status"] !== undefined) status = Number(headers["grpc-status"]);
    };
    request.on("response", take).on("trailers", take);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.once("error", () => finish());
    request.once("end", () => {
      // Five bytes of framing come before the message.
      finish(status === undefined ? undefined : { status, message: Buffer.concat(chunks).subarray(5) });
    });
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(message.length, 1);
    request.end(Buffer.concat([frame, message]));
  });
}

/** A message whose only field, number 1, is `text` of up to 16383 bytes. */
export function textMessage(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = bytes.length < 0x80 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7];
  return Buffer.concat([Buffer.from([0x0a, ...length]), bytes]);
}
