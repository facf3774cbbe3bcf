import { request } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { changeOf } from "../../../api/http/changes.ts";
import { ROUTES } from "../../../contract/routes.ts";
import { eventually } from "../../eventually.ts";
import type { FakeApi } from "../../fakes/api.ts";
import { createTokenApi, tokenOf } from "../../fakes/token-api.ts";

let api: FakeApi;
beforeEach(() => {
  api = createTokenApi();
});
afterEach(() => api.app.close());

const JOB = { kind: "job", image: "ubuntu" };
const send = async (method: "GET" | "POST" | "PUT", path: string, payload?: object, headers: object = {}) => {
  const url = `${path}${path.includes("?") ? "&" : "?"}api-version=1.0`;
  return api.app.inject({ method, url, headers: { ...headers }, ...(payload && { payload }) });
};
/** The lines about changes since the last call. */
const changes = (): object[] =>
  api.logged
    .splice(0)
    .filter(({ message }) => message.startsWith("change "))
    .map(({ level, message, subject, action, object, requestId }) => ({
      level,
      message,
      subject,
      action,
      object,
      requestId,
    }));

describe("one line names subject, action, object and request of", () => {
  test("each change", async () => {
    const sent = async (...request: Parameters<typeof send>): Promise<{ id: string; requestId: unknown }> => {
      const answer = await send(...request);
      return { id: String(answer.json().id), requestId: answer.headers["request-id"] };
    };
    const line = (action: string, object: string, requestId: unknown): object[] => [
      { level: "info", message: "change accepted", subject: "ada", action, object, requestId },
    ];
    const codespec = await sent("PUT", "/codespecs/hello", JOB);
    expect(changes()).toEqual(line("putCodespec", "/codespecs/hello/1", codespec.requestId));
    const buffer = await sent("POST", "/buffers", {});
    expect(changes()).toEqual(line("createBuffer", `/buffers/${buffer.id}`, buffer.requestId));
    const access = await sent("POST", `/buffers/${buffer.id}/access?writeable=true`);
    expect(changes()).toEqual(line("accessBuffer", `/buffers/${buffer.id}`, access.requestId));
    const run = await sent("POST", "/runs", { job: { codespec: JOB } });
    expect(changes()).toEqual(line("createRun", `/runs/${run.id}`, run.requestId));
    const set = await sent("PUT", `/runs/${run.id}`, { tags: { a: "b" } });
    expect(changes()).toEqual(line("setRun", `/runs/${run.id}`, set.requestId));
    const cancel = await sent("POST", `/runs/${run.id}/cancel`);
    expect(changes()).toEqual(line("cancelRun", `/runs/${run.id}`, cancel.requestId));
  });

  test("a caller who is refused", async () => {
    await send("POST", "/runs/1/cancel", undefined, { authorization: `Bearer ${tokenOf("eve", [])}` });
    expect(changes()).toEqual([
      expect.objectContaining({
        message: "change refused",
        subject: "eve",
        action: "cancelRun",
        object: "/runs/1",
      }),
    ]);
  });
});

test("a change whose client has gone is logged too", async () => {
  await api.app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = api.app.server.address() as AddressInfo;
  const { promise, resolve } = Promise.withResolvers<void>();
  const create = api.codespecs.put.bind(api.codespecs);
  api.codespecs.put = async (...given) => {
    resolve();
    await eventually(() => isGone, { withinMs: 5000 });
    return create(...given);
  };
  let isGone = false;
  api.app.server.on("connection", (socket) => void socket.on("close", () => (isGone = true)));
  const authorization = `Bearer ${tokenOf("ada", ["contributor"])}`;
  const headers = { authorization, "content-type": "application/json" };
  const sending = request({ port, method: "PUT", path: "/codespecs/a?api-version=1.0", headers }).on("error", () => {});
  sending.end(JSON.stringify(JOB));
  await promise;
  sending.destroy();
  const line = { message: "change accepted", subject: "ada", action: "putCodespec", object: "/codespecs/a/1" };
  await eventually(() => api.logged.some(({ message }) => message === line.message), { withinMs: 5000 });
  expect(changes()).toEqual([expect.objectContaining(line)]);
});

test("there is no line for reads, for failures, or for the repeat of a request", async () => {
  const create = () => send("POST", "/runs", { job: { codespec: JOB } }, { "idempotency-key": "k" });
  const { id } = (await create()).json();
  const buffer = (await send("POST", "/buffers", {})).json();
  expect(changes()).toHaveLength(2);
  expect((await create()).json()).toMatchObject({ id });
  await send("GET", "/runs");
  await send("POST", `/buffers/${buffer.id}/access`);
  await send("POST", "/runs/_sweep");
  await send("POST", "/runs/99/cancel");
  await send("POST", "/runs", { job: {} });
  expect(changes()).toEqual([]);
});

test("every operation that is not a read has a line, except the sweep", () => {
  const others = Object.entries(ROUTES).filter(([, { method }]) => method !== "GET");
  expect(others.filter(([name, route]) => changeOf(route) !== name).map(([name]) => name)).toEqual(["sweepRuns"]);
});
