import { connect } from "node:net";

/** The first message of a connection: protocol version 3.0 and a user name. */
function startupMessage(): Buffer {
  const body = Buffer.concat([Buffer.from([0, 3, 0, 0]), Buffer.from("user\0postgres\0\0")]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([length, body]);
}

/**
 * Connects, because the port is open before the server is ready: only a ready server asks for authentication.
 * @see https://www.postgresql.org/docs/current/protocol-flow.html
 */
export function isPostgresReady(host: string, port: number, timeoutMs = 1000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (ready: boolean) => {
      socket.destroy();
      resolve(ready);
    };
    socket.setTimeout(timeoutMs, () => finish(false));
    socket.once("error", () => finish(false));
    socket.once("close", () => finish(false));
    socket.once("data", (answer) => finish(answer[0] === "R".charCodeAt(0)));
    socket.write(startupMessage());
  });
}
