import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeApi, type FakeApi } from "../../fakes/api.ts";

let api: FakeApi;
beforeEach(() => {
  api = createFakeApi({ origins: { control: "http://0.0.0.0:9000" } });
});
afterEach(() => api.app.close());

const call = (method: "GET" | "POST", url: string, payload?: object) =>
  api.app.inject({
    method,
    url: url + (url.includes("?") ? "&" : "?") + "api-version=1.0",
    headers: { "content-type": "application/json", host: "here:1" },
    ...(payload && { payload }),
  });

test("a buffer exists in the store before its id is in an answer", async () => {
  const answer = await call("POST", "/buffers", { tags: { a: "1" }, expiresAt: "2030-01-01T02:00:00.123456789+02:00" });
  const buffer = answer.json();
  expect(answer.statusCode).toBe(201);
  expect(buffer).toEqual({
    id: expect.stringMatching(/^[a-z2-7]{26}$/),
    location: "local",
    createdAt: expect.any(String),
    expiresAt: "2030-01-01T00:00:00.123456+00:00",
    tags: { a: "1" },
    eTag: expect.stringMatching(/^[0-9]+$/),
  });
  expect(api.places).toContain(buffer.id);
  expect(answer.headers).toMatchObject({ etag: buffer.eTag, location: `/buffers/${buffer.id}` });

  const shown = await call("GET", `/buffers/${buffer.id}`);
  expect([shown.json(), shown.headers["etag"]]).toEqual([buffer, buffer.eTag]);
  expect((await call("GET", `/buffers/${buffer.id}?softDeleted=true`)).statusCode).toBe(404);
});

test("a tag can have any key", async () => {
  const tags: unknown = JSON.parse('{"__proto__":"1","constructor":"2"}');
  const { id } = (await call("POST", "/buffers", { tags })).json();
  expect(JSON.stringify((await call("GET", `/buffers/${id}`)).json().tags)).toBe(JSON.stringify(tags));
});

test.each([
  [{ location: "mars" }, "The location 'mars' is not known"],
  [{ tags: { "a b": "1" } }, "The tag key 'a b'"],
  [{ tags: { a: "1 2" } }, "The value '1 2' of the tag 'a'"],
  [{ tags: { ["k".repeat(129)]: "" } }, "1 to 128"],
  [{ tags: Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`k${i}`, ""])) }, "at most 100 tags"],
])("a buffer with %j is refused and leaves nothing in the store", async (body, message) => {
  const answer = await call("POST", "/buffers", body);
  expect([answer.statusCode, answer.json().error.code]).toEqual([400, "InvalidInput"]);
  expect(answer.json().error.message).toContain(message);
  expect(api.places.size).toBe(0);
});

test("each request signs a new access URL, for the requested time and for the client's kind of connection", async () => {
  const { id } = (await call("POST", "/buffers", {})).json();
  const first = await call("POST", `/buffers/${id}/access`);
  expect([first.statusCode, first.json()]).toEqual([201, { uri: `http://here:1/${id}/1` }]);
  expect((await call("POST", `/buffers/${id}/access?writeable=True&ttl=00:01`)).json().uri).toBe(
    `http://here:1/${id}/2`,
  );
  expect(api.grants).toEqual([
    { bufferId: id, writeable: false, ttlSeconds: 3600, baseUrl: "http://here:1" },
    { bufferId: id, writeable: true, ttlSeconds: 60, baseUrl: "http://here:1" },
  ]);
});

test.each([
  ["?ttl=00:00:29", 400, "InvalidInput"],
  ["?ttl=01:00:01", 400, "InvalidInput"],
  ["?ttl=0", 400, "InvalidInput"],
  ["?ttl=-00:01", 400, "BadRequest"],
  ["?ttl=soon", 400, "BadRequest"],
  ["?writeable=perhaps", 400, "BadRequest"],
])("access with %s is refused", async (query, status, code) => {
  const { id } = (await call("POST", "/buffers", {})).json();
  const answer = await call("POST", `/buffers/${id}/access${query}`);
  expect([answer.statusCode, answer.json().error.code]).toEqual([status, code]);
});

test.each(["abc", "lopoahtz7chepdpmgvunuvtqke", "run-1-temp-abc", "..%2Fx", "UPPER"])(
  "there is no access to %s",
  async (id) => {
    expect((await call("POST", `/buffers/${id}/access`)).statusCode).toBe(404);
  },
);

test("there is one storage account", async () => {
  expect((await call("GET", "/buffers/storage-accounts")).json()).toEqual([
    { name: "local", location: "local", endpoint: "http://here:1" },
  ]);
});

test("with several locations, each is a storage account, and a buffer is in the one that it names in any case", async () => {
  await api.app.close();
  api = createFakeApi({ locations: ["Fast", "archive"], origins: { control: "http://127.0.0.1:1" } });
  const endpoint = "http://here:1";
  expect((await call("GET", "/buffers/storage-accounts")).json()).toEqual([
    { name: "Fast", location: "Fast", endpoint },
    { name: "archive", location: "archive", endpoint },
  ]);
  const locationOf = async (body: object) => (await call("POST", "/buffers", body)).json().location;
  expect(await locationOf({})).toBe("Fast");
  expect(await locationOf({ location: "FAST" })).toBe("Fast");
  expect(await locationOf({ location: "Archive" })).toBe("archive");
  const refused = await call("POST", "/buffers", { location: "local" });
  expect([refused.statusCode, refused.json().error]).toEqual([
    400,
    {
      code: "InvalidInput",
      message: "The location 'local' is not known; this server has 'Fast', 'archive'",
    },
  ]);
  // The buffers that come with a run are in the default location.
  const codespec = { kind: "job", image: "ubuntu", buffers: { inputs: ["in"], outputs: ["out"] } };
  const run = (await call("POST", "/runs", { job: { codespec } })).json();
  const buffers = Object.values<string>(run.job.buffers).map((id) => api.bufferRows.get(id)?.location);
  expect(buffers).toEqual(["Fast", "Fast"]);
});
