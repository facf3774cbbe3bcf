import { beforeEach, describe, expect, test } from "vitest";
import type { HttpApi } from "./http-api.ts";

/** `PUT /runs/{id}`. The REST contract, sections 3.2, 4, 9 and 10 */
export function testSetRun(open: () => HttpApi): void {
  let api: HttpApi;
  let run: number;
  beforeEach(async () => {
    api = open();
    const payload = { job: { codespec: api.codespec }, tags: { a: "1", b: "2" } };
    run = (await api.call("POST", "/runs?api-version=1.0", { payload })).json().id;
  });

  const set = (payload: unknown, { id = String(run), ifMatch }: { id?: string; ifMatch?: string } = {}) =>
    api.call("PUT", `/runs/${id}?api-version=1.0`, {
      headers: { "content-type": "application/json", ...(ifMatch !== undefined && { "if-match": ifMatch }) },
      payload: JSON.stringify(payload),
    });
  const show = async () => (await api.call("GET", `/runs/${run}?api-version=1.0`)).json();

  test("all tags are replaced, and the answer is the run as show has it, with its eTag as a header", async () => {
    const before = await show();
    const answer = await set({ tags: { b: "3", c: "" } });
    expect([answer.statusCode, answer.json().tags]).toEqual([200, { b: "3", c: "" }]);
    expect(answer.headers["etag"]).toBe(answer.json().eTag);
    expect(answer.json().eTag).not.toBe(before.eTag);
    expect(await show()).toEqual(answer.json());
  });

  test("the change is a line of an open watch", async () => {
    const watching = api.call("GET", `/runs/${run}?watch=true&api-version=1.0`);
    await set({ tags: { x: "y" } });
    await api.end(run);
    const lines = (await watching).body.trimEnd().split("\n");
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ status: "Succeeded", tags: { x: "y" } });
  });

  test.each([[{}], [{ tags: null }], [{ tags: {} }], [{ id: "own" }]])("%j clears the tags", async (body) => {
    expect((await set("id" in body ? { id: run } : body)).json()).not.toHaveProperty("tags");
  });

  test("fields of the run that clients send back are ignored", async () => {
    const answer = await set({
      id: run,
      eTag: "9",
      expiresAt: null,
      createdAt: "0001-01-01T00:00:00Z",
      TAGS: { a: "2" },
    });
    expect([answer.statusCode, answer.json().tags]).toEqual([200, { a: "2" }]);
  });

  test("a run that has ended can be tagged", async () => {
    await api.end(run);
    expect((await set({ tags: { done: "1" } })).json()).toMatchObject({ status: "Succeeded", tags: { done: "1" } });
  });

  describe("If-Match", () => {
    test("the present eTag, with or without quotes, and * let the change through", async () => {
      const { eTag } = await show();
      const second = (await set({ tags: { n: "2" } }, { ifMatch: eTag })).json();
      const third = await set({ tags: { n: "3" } }, { ifMatch: `"${second.eTag}"` });
      const last = await set({ tags: { n: "4" } }, { ifMatch: "*" });
      expect([third.statusCode, last.statusCode, (await show()).tags]).toEqual([200, 200, { n: "4" }]);
    });

    test("another eTag is 412 and changes nothing", async () => {
      const before = await show();
      const answer = await set({ tags: {} }, { ifMatch: "12" });
      expect([answer.statusCode, answer.json().error.code]).toEqual([412, "PreconditionFailed"]);
      expect(await show()).toEqual(before);
    });
  });

  test.each(["999999999", "x", "0", "99999999999999999"])("an unknown run is 404: %s", async (id) => {
    const answer = await set({ tags: {} }, { id });
    expect([answer.statusCode, answer.json().error.code]).toEqual([404, "NotFound"]);
  });

  test("another id in the body is 400 with a bare text", async () => {
    const answer = await set({ id: run + 1, tags: {} });
    expect([answer.statusCode, answer.json(), answer.headers["content-type"]]).toEqual([
      400,
      `The id '${run + 1}' is not the '${run}' of the path`,
      "application/json; charset=utf-8",
    ]);
  });

  test.each([[{ tags: { "no good": "1" } }], [{ tags: { a: "no good" } }], [{ tags: ["a"] }], [null], [[]], ["x"]])(
    "%j is 400 and changes nothing",
    async (body) => {
      const before = await show();
      const answer = await set(body);
      expect([answer.statusCode, answer.json().error.code]).toEqual([400, "InvalidInput"]);
      expect(await show()).toEqual(before);
    },
  );
}
