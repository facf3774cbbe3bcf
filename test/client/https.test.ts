import { once } from "node:events";
import { type AddressInfo, connect as connectSocket } from "node:net";
import { text } from "node:stream/consumers";
import { createServer, type Server } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "../../client/index.ts";
import { selfSigned } from "../fakes/certificate.ts";
import { FakeServer, reply } from "../fakes/tyger-server.ts";

const { key, cert } = selfSigned();
let server: FakeServer;
let front: Server;
let url: string;

/** A server of HTTP behind TLS, as a reverse proxy makes it. */
beforeAll(async () => {
  server = await new FakeServer().start();
  front = createServer({ key, cert }, (socket) => {
    const inner = connectSocket(server.socketPath);
    socket.on("error", () => inner.destroy()).pipe(inner);
    inner.on("error", () => socket.destroy()).pipe(socket);
  }).listen(0, "127.0.0.1");
  await once(front, "listening");
  url = `https://127.0.0.1:${(front.address() as AddressInfo).port}`;
  server.on("POST", /^\/buffers\/[^/]+\/access/, ({ url: path }, response) => {
    reply(response, 201, { uri: `${url}/containers/${path.split("/")[2]}?sig=x` });
  });
});
afterAll(async () => {
  await server.stop();
  front.close();
});

test("both planes are reached over https with the certificate that was given", async () => {
  const client = await connect({ server: url, ca: cert });
  expect(await client.metadata()).toMatchObject({ apiVersions: ["1.0"] });
  await client.buffers.write("b", "over TLS");
  expect(await text(client.buffers.read("b"))).toBe("over TLS");
});

test("an untrusted certificate is refused by both planes", async () => {
  const code = "DEPTH_ZERO_SELF_SIGNED_CERT";
  const stranger = await connect({ server: url, retry: false });
  await expect(stranger.metadata()).rejects.toMatchObject({ code });
  await expect(text(stranger.buffers.read(`${url}/containers/b?sig=x`))).rejects.toMatchObject({ code });
});
