import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ask, targetOf } from "../../../buffers/access/http.ts";
import type { Target } from "../../../buffers/access/request.ts";
import { plainGet, TruncatedBody } from "../../../buffers/access/plain-get.ts";
import { eventually } from "../../eventually.ts";

let server: Server;
let target: Target;
/** The requests of each connection, oldest first. */
let asked: string[][];
let answer: (socket: Socket, request: string) => unknown;

beforeEach(async () => {
  const socketPath = join(tmpdir(), `get-${randomBytes(6).toString("hex")}.sock`);
  asked = [];
  answer = (socket) => socket.write(whole("hello"));
  server = createServer((socket) => {
    const requests: string[] = [];
    asked.push(requests);
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      requests.push(bytes.toString());
      answer(socket, bytes.toString());
    });
  });
  server.listen(socketPath);
  await once(server, "listening");
  target = { socketPath, protocol: "http:", path: "/a?b=c" };
});
afterEach(async () => {
  server.close();
  if (target.socketPath !== undefined) rmSync(target.socketPath, { force: true });
});

const whole = (body: string, more = ""): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${more}\r\n${body}`;
const get = (more: Partial<Parameters<typeof plainGet>[1]> = {}) =>
  plainGet(target, { headers: {}, timeoutMs: 5000, allocate: (size) => Buffer.alloc(size), ...more });

test("a response has its status, headers and body, and the connection takes the next request", async () => {
  answer = (socket) => socket.write(whole("hello", "Content-MD5: abc\r\nX-Empty:\r\n"));
  const { status, headers, body } = await get({ headers: { prefer: "wait=20" } });
  expect([status, headers["content-md5"], headers["x-empty"], body.toString()]).toEqual([200, "abc", "", "hello"]);
  answer = (socket) => socket.write("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
  expect(await get()).toMatchObject({ status: 404, body: Buffer.alloc(0) });
  expect(asked).toEqual([
    [
      "GET /a?b=c HTTP/1.1\r\nhost: localhost\r\nprefer: wait=20\r\n\r\n",
      "GET /a?b=c HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ],
  ]);
});

test("a response can arrive byte by byte", async () => {
  answer = async (socket) => {
    for (const byte of whole("hello")) {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  expect((await get()).body.toString()).toBe("hello");
});

test("a large body arrives in the allocated memory", async () => {
  const bytes = randomBytes(3_000_001);
  answer = (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes.length}\r\n\r\n`);
    socket.write(bytes);
  };
  const memory = Buffer.alloc(bytes.length);
  expect((await get({ allocate: () => memory })).body).toBe(memory);
  expect(memory.equals(bytes)).toBe(true);
});

test.each([
  ["is chunked", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"],
  ["lasts until the connection ends", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"],
  ["is of an older HTTP", "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello"],
  ["follows another", `HTTP/1.1 103 Early Hints\r\n\r\n${whole("hello")}`],
])("an answer that %s is left to the runtime's client", async (_name, text) => {
  answer = (socket) => socket.end(text);
  expect((await ask(target, { method: "GET", timeoutMs: 5000 })).body.toString()).toBe("hello");
  expect(asked).toHaveLength(2);
});

test("a response that is not HTTP is an error, however long it is", async () => {
  answer = (socket) => socket.write("x".repeat(200_000));
  await expect(ask(target, { method: "GET", timeoutMs: 5000 })).rejects.toThrow("Parse Error");
});

test("a body that is cut off and a response that never began are distinct errors", async () => {
  answer = (socket) => socket.end(whole("hello").slice(0, -1));
  await expect(get()).rejects.toBeInstanceOf(TruncatedBody);
  answer = (socket) => socket.end();
  await expect(get()).rejects.toMatchObject({ code: "ECONNRESET" });
  expect(asked).toHaveLength(2);
});

test("a connection closed while idle is not used; one that closes during a request is replaced", async () => {
  const sockets: Socket[] = [];
  answer = (socket) => {
    sockets.push(socket);
    socket.write(whole("hello"));
  };
  await get();
  sockets[0]?.destroy();
  await eventually(() => sockets[0]?.closed);
  expect((await get()).body.toString()).toBe("hello");
  answer = (socket) => {
    if (socket === sockets[1]) socket.destroy();
    else socket.write(whole("again"));
  };
  expect((await get()).body.toString()).toBe("again");
  expect(asked).toHaveLength(3);
});

test("a response with 'connection: close' ends the connection", async () => {
  answer = (socket) => socket.write(whole("hello", "Connection: Close\r\n"));
  await get();
  await get();
  expect(asked).toHaveLength(2);
});

test("bytes beyond the announced length do not count as the next response", async () => {
  answer = (socket) => socket.write(`${whole("hello")}HTTP/1.1 200 OK\r\n`);
  await expect(get()).rejects.toThrow("More arrived");
  let socket: Socket | undefined;
  answer = (asking) => {
    socket = asking;
    asking.write(whole("hello"));
  };
  await get();
  socket?.write(whole("stray"));
  await eventually(() => socket?.closed);
  expect((await get()).body.toString()).toBe("hello");
});

test("silence, a signal and a missing server end the wait", async () => {
  answer = () => {};
  await expect(get({ timeoutMs: 50 })).rejects.toMatchObject({ code: "ETIMEDOUT" });
  const given = new AbortController();
  const waiting = get({ signal: given.signal });
  await eventually(() => asked.length === 2);
  given.abort(new Error("given up"));
  await expect(waiting).rejects.toThrow("given up");
  await expect(get({ signal: given.signal })).rejects.toThrow("given up");
  target = { ...target, socketPath: "/nowhere/at/all.sock" };
  await expect(get()).rejects.toMatchObject({ code: "ENOENT" });
});

test.each(["127.0.0.1", "[::1]"])("a server at %s can be reached over TCP", async (host) => {
  const address = host.replace(/[[\]]/g, "");
  const overTcp = createServer((socket) => {
    socket.on("data", (bytes) => socket.write(whole(bytes.toString())));
  });
  overTcp.listen(0, address);
  await once(overTcp, "listening");
  const { port } = overTcp.address() as AddressInfo;
  target = targetOf(`http://${host}:${port}/x?y`);
  expect((await get()).body.toString()).toContain(`GET /x?y HTTP/1.1\r\nhost: ${host}:${port}\r\n`);
  overTcp.close();
});
