import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { errnoOf } from "../../model/errors.ts";
import { errorBodyOf } from "../../contract/error-status.ts";

/** Parser errors that have a status of their own; the others are bad requests. */
const STATUS: Record<string, number> = { ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_HEADER_OVERFLOW: 431 };

/**
 * Answers a request that the HTTP parser refuses and that no app ever sees: an unknown method, headers beyond any limit,
 * text that is not HTTP, a request that does not end. Then the connection is closed.
 */
export function answerUnreadable(err: Error, socket: Socket): void {
  if (errnoOf(err) === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = STATUS[errnoOf(err) ?? ""] ?? 400;
  const reason = status === 431 ? "its URL and its headers are too long" : err.message;
  const body = JSON.stringify(errorBodyOf("BadRequest", `The request could not be read: ${reason}`));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `Request-Id: ${randomUUID()}`,
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}
