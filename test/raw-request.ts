import { connect, type NetConnectOpts } from "node:net";

/** Sends `text` as it is, which no HTTP client would, and gives all that comes back until the connection ends. */
export function sendRaw(to: NetConnectOpts, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(to, () => socket.write(text));
    socket.setEncoding("utf8").on("data", (part) => (answer += String(part)));
    socket.on("error", reject).on("end", () => {
      socket.destroy();
      resolve(answer);
    });
  });
}

/** Requests that the parser refuses, with the status that they get. */
export const UNREADABLE: readonly [string, number][] = [
  ["FOO /metadata HTTP/1.1\r\nHost: x\r\n\r\n", 400],
  ["no HTTP at all\r\n\r\n", 400],
  [`GET /metadata HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(20_000)}\r\n\r\n`, 431],
];

/** The form of an error that never reached a route. */
export const refusalOf = (status: number): RegExp =>
  new RegExp(
    `^HTTP/1\\.1 ${status} .*\\r\\nRequest-Id: \\S+\\r\\n[^]*\\{"error":\\{"code":"BadRequest","message":"The request could not be read: ${status === 431 ? "its URL and its headers are too long" : ""}`,
  );
