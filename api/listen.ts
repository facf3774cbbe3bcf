import { chmod, mkdir, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { dirname } from "node:path";
import type { FastifyInstance } from "fastify";
import { errnoOf } from "../model/errors.ts";
import { answerUnreadable } from "./http/unreadable-request.ts";

/** A path of a Unix socket beyond this is cut or refused by the kernel. */
const MAX_SOCKET_PATH_BYTES = 107;
/** For a request with its body, which on the data plane can be a large blob; answers have no limit. */
const REQUEST_MS = 120_000;

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

/**
 * Lets both planes answer on one `host:port`; the path decides which one does.
 * @throws Error when the address is not a `host:port`, or is in use
 */
export async function listenOnTcp(control: FastifyInstance, data: FastifyInstance, address: string): Promise<Server> {
  const { hostname, port } = hostAndPortOf(address);
  await Promise.all([control.ready(), data.ready()]);
  const server = createServer({ requestTimeout: REQUEST_MS, keepAlive: true }, (req, res) => {
    const plane = req.url?.startsWith("/containers/") ? data : control;
    plane.routing(req, res);
  });
  server.on("clientError", answerUnreadable);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: hostname.replace(/^\[|\]$/g, ""), port }, resolve);
  });
  return server;
}

function hostAndPortOf(address: string): { hostname: string; port: number } {
  const { host, port } = /^(?<host>\[[0-9a-fA-F:]+\]|[^:[\]]+):(?<port>[0-9]{1,5})$/.exec(address)?.groups ?? {};
  if (host === undefined || port === undefined)
    throw new Error(`The address '${address}' is not of the form host:port`);
  return { hostname: host, port: Number(port) };
}
