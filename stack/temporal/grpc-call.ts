import { connect } from "node:http2";

/** `status` 0 is success. */
export interface GrpcAnswer {
  status: number;
  message: Buffer;
}

/**
 * Makes one call without TLS and without a client package, which would take 300 ms to load.
 * @returns undefined if the server does not speak gRPC, or does not answer within `timeoutMs`.
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
    // A failed call has its status in the headers, because no message precedes it.
    const take = (headers: Record<string, unknown>) => {
      if (headers["grpc-status"] !== undefined) status = Number(headers["grpc-status"]);
    };
    request.on("response", take).on("trailers", take);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.once("error", () => finish());
    request.once("end", () => {
      // The message starts after five bytes of framing.
      finish(status === undefined ? undefined : { status, message: Buffer.concat(chunks).subarray(5) });
    });
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(message.length, 1);
    request.end(Buffer.concat([frame, message]));
  });
}

/** Encodes a message whose only field, number 1, is `text`, up to 16383 bytes: all that our calls need. */
export function textMessage(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = bytes.length < 0x80 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7];
  return Buffer.concat([Buffer.from([0x0a, ...length]), bytes]);
}
