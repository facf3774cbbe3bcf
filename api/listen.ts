import { chmod, mkdir, rm } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import type { FastifyInstance } from "fastify";
import { errnoOf } from "../model/errors.ts";

/** A path of a Unix socket beyond this is cut or refused by the kernel. */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Lets `app` answer on a Unix socket that has `mode`. The file of a dead process is replaced; the socket of a live one
 * is not.
 * @throws Error when another process answers there, or the path is too long
 */
export async function listenOnSocket(app: FastifyInstance, path: string, mode: number): Promise<void> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw new Error(`The socket path '${path}' is longer than ${MAX_SOCKET_PATH_BYTES} bytes`);
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  if (await isAnswered(path)) throw new Error(`Another server answers on the socket '${path}'`);
  await rm(path, { force: true });
  await app.listen({ path });
  await chmod(path, mode);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (err) => {
      if (errnoOf(err) === "ENOENT" || errnoOf(err) === "ECONNREFUSED") resolve(false);
      else reject(err);
    });
  });
}
