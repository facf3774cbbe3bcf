import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { request as requestTls } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { createHostCheck } from "../../api/http/hosts.ts";
import { listenOnTcp, type TcpEndpoint } from "../../api/listen-tcp.ts";
import { answerBoth, answerData } from "../../api/planes.ts";
import { createFakeApi, type FakeApi } from "../fakes/api.ts";
import { selfSigned } from "../fakes/certificate.ts";
import { refusalOf, sendRaw, UNREADABLE } from "../raw-request.ts";

let control: FakeApi;
let data: FakeApi;
beforeEach(async () => {
  [control, data] = [createFakeApi(), createFakeApi()];
  await Promise.all([control.app.ready(), data.app.ready()]);
});
afterEach(() => Promise.all([control.app.close(), data.app.close()]));

async function open(endpoint: TcpEndpoint, plane: "both" | "data", isOpenToAll = false) {
  const answer = plane === "data" ? answerData(data.app) : answerBoth(control.app, data.app, createHostCheck([]));
  const { server, origin } = await listenOnTcp(endpoint, { answer, isOpenToAll });
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, origin };
}

interface Answer {
  status: number | undefined;
  text: string;
  headers: Record<string, unknown>;
}

const ask = (options: {
  port: number;
  ca?: string;
  path: string;
  headers?: object;
  method?: string;
}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = (options.ca === undefined ? request : requestTls)({ agent: false, ...options } as object, (res) => {
      let text = "";
      res.setEncoding("utf8").on("data", (part: string) => (text += part));
      res.on("end", () => resolve({ status: res.statusCode, text, headers: res.headers }));
    });
    sent.on("error", reject).end();
  });

test("both planes answer on one port, old paths included", async () => {
  const { port, origin } = await open({ listen: "127.0.0.1:0" }, "both");
  expect(origin).toBe(`http://127.0.0.1:${port}`);
  const metadata = JSON.parse((await ask({ port, path: "/v1/metadata" })).text);
  expect(metadata.storageEndpoints).toEqual([`http://localhost:${port}`]);
  expect((await ask({ port, path: "/healthcheck", headers: { host: origin.slice(7) } })).text).toBe("Healthy");
  const before = data.logged.length;
  await ask({ port, path: "/containers/x?api-version=1.0" });
  expect(data.logged.length).toBeGreaterThan(before);
  for (const [text, status] of UNREADABLE) expect(await sendRaw({ port }, text)).toMatch(refusalOf(status));
});

test("the port of the data plane has nothing of the control plane", async () => {
  const { port } = await open({ listen: "127.0.0.1:0" }, "data");
  const before = control.logged.length;
  for (const path of ["/runs?api-version=1.0", "/metadata", "/containers/x?api-version=1.0", "/v1/runs"]) {
    await ask({ port, path });
  }
  expect(control.logged.length).toBe(before);
});

test("a request of another site's page reaches no route of the control plane, and blobs need no name", async () => {
  const { port } = await open({ listen: "127.0.0.1:0" }, "both");
  const before = control.logged.length;
  const headers = [{ host: `evil.example:${port}` }, { host: `localhost:${port}`, origin: "http://evil.example" }];
  for (const given of headers) {
    const answer = await ask({ port, method: "POST", path: "/runs/1/cancel?api-version=1.0", headers: given });
    expect(answer).toMatchObject({ status: 403, headers: { "request-id": expect.stringMatching(/./) } });
    expect(JSON.parse(answer.text).error).toEqual({
      code: "Forbidden",
      message: expect.stringContaining("evil.example"),
    });
  }
  expect(await sendRaw({ port }, "GET /runs?api-version=1.0 HTTP/1.0\r\n\r\n")).toMatch(/^HTTP\/1\.1 403 /);
  expect(control.logged.length).toBe(before);
  const blob = await ask({ port, path: "/containers/x/00?api-version=1.0", headers: { host: "data.example" } });
  expect(blob.status).not.toBe(403);
});

test("a client that leaves at once with the host of another site reaches no route", async () => {
  const { port } = await open({ listen: "127.0.0.1:0" }, "both");
  const before = control.told.length;
  await control.runs.create({
    job: { codespec: { kind: "job", image: "ubuntu" } },
    timeoutSeconds: 60,
    bufferAccessTtl: "01:00:00",
    newBuffers: [],
  });
  const { connect } = await import("node:net");
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      const socket = connect({ port });
      const text = "POST /runs/1/cancel?api-version=1.0 HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n";
      await new Promise<void>((resolve) => socket.write(text, () => resolve()));
      socket.resetAndDestroy();
    }),
  );
  expect((await ask({ port, path: "/healthcheck" })).text).toBe("Healthy");
  expect(control.told.length).toBe(before);
});

test.each(["0.0.0.0:0", "[::]:0"])("without authentication the control plane does not listen on %s", async (listen) => {
  await expect(open({ listen }, "both")).rejects.toThrow(
    `Without authentication, the control plane cannot listen on '${listen}', to which other machines can connect`,
  );
  expect((await open({ listen: "0.0.0.0:0" }, "both", true)).port).toBeGreaterThan(0);
});

test.each(["127.0.0.1:0", "localhost:0", "127.9.9.9:0"])("it does listen on %s", async (listen) => {
  expect((await open({ listen }, "both")).port).toBeGreaterThan(0);
});

test.each(["8080", "host", "host:", ":80", "a:b:80", "host:99999999"])("the address %s is refused", async (listen) => {
  await expect(open({ listen }, "both")).rejects.toThrow("host:port");
});

test("with a certificate the planes answer over TLS", async () => {
  const { cert, key } = selfSigned();
  const folder = await mkdtemp(join(tmpdir(), "tyger-tls-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const tls = { certificate: join(folder, "tls.crt"), key: join(folder, "tls.key") };
  await expect(open({ listen: "127.0.0.1:0", tls }, "data")).rejects.toThrow(
    `The certificate '${tls.certificate}' with the key '${tls.key}' cannot be used: there is no such file`,
  );
  await Promise.all([writeFile(tls.certificate, cert), writeFile(tls.key, selfSigned().key)]);
  await expect(open({ listen: "127.0.0.1:0", tls }, "data")).rejects.toThrow(/cannot be used: .*mismatch/);
  await writeFile(tls.key, key);
  const { port, origin } = await open({ listen: "localhost:0", tls }, "both");
  expect(origin).toBe(`https://localhost:${port}`);
  expect((await ask({ port, path: "/healthcheck", ca: cert })).text).toBe("Healthy");
});
