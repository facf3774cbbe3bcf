import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import type { HttpApi } from "./http-api.ts";

/** The routes of codespecs. The REST contract, sections 3, 6 and 7 */
export function testCodespecRoutes(open: () => HttpApi): void {
  let api: HttpApi;
  /** In front of every name, because the server can have other codespecs. */
  let own: string;
  beforeEach(() => {
    api = open();
    own = `${randomBytes(4).toString("hex")}-`;
  });

  const putAs = (name: string, payload: object) => api.call("PUT", `/codespecs/${name}?api-version=1.0`, { payload });
  const put = (name: string, payload: object) => putAs(own + name, payload);
  const get = (path: string) => api.call("GET", `/codespecs${path}`);

  const HELLO = { kind: "job", image: "ubuntu", buffers: { inputs: ["input"], outputs: ["output"] } };

  test("a codespec gets versions, and an equal one does not", async () => {
    const first = await put("hello", HELLO);
    expect([first.statusCode, first.headers["location"]]).toEqual([201, `/codespecs/${own}hello/1`]);
    expect(first.json()).toEqual({ ...HELLO, name: `${own}hello`, version: 1, createdAt: expect.any(String) });
    expect((await put("hello", { ...HELLO, name: `${own}hello`, version: 7, args: [] })).statusCode).toBe(201);
    const second = await put("hello", { ...HELLO, env: { A: "" } });
    expect([second.statusCode, second.headers["location"]]).toEqual([200, `/codespecs/${own}hello/2`]);

    const latest = await get(`/${own}hello?api-version=1.0`);
    expect([latest.json(), latest.headers["location"]]).toEqual([second.json(), `/codespecs/${own}hello/2`]);
    expect((await get(`/${own}hello/versions/1?api-version=1.0`)).json()).toEqual(first.json());
    for (const version of ["3", "x", "-1", "99999999999"]) {
      expect((await get(`/${own}hello/versions/${version}?api-version=1.0`)).statusCode).toBe(404);
    }
  });

  test("a codespec can have 1 MiB of JSON, counted in bytes, and not a byte more", async () => {
    const sized = (bytes: number): object => {
      const start = { kind: "job", image: "ubuntu", args: ["é"] };
      return { ...start, args: ["é".padEnd(1 + bytes - Buffer.byteLength(JSON.stringify(start)), "x")] };
    };
    const largest = await put("large", sized(1024 * 1024));
    expect(largest.statusCode).toBe(201);
    const refused = await put("larger", sized(1024 * 1024 + 1));
    expect(refused.statusCode).toBe(400);
    expect(refused.json().error).toEqual({
      code: "InvalidInput",
      message:
        "The codespec has 1048577 bytes as JSON, more than the 1048576 (1 MiB) that are allowed; pass large data to the job in an input buffer",
    });
    expect((await get(`/${own}larger?api-version=1.0`)).statusCode).toBe(404);
  });

  test("a list has pages of the latest versions and links to the next", async () => {
    for (const name of ["b", "a", "c"]) await put(name, HELLO);
    await put("b", { ...HELLO, image: "other" });
    const page = (await get(`?prefix=${own}&limit=2&api-version=1.0`)).json();
    expect(page.items.map(({ name, version }: { name: string; version: number }) => [name, version])).toEqual([
      [`${own}a`, 1],
      [`${own}b`, 2],
    ]);
    const [link, token] = page.nextLink.split("&_ct=");
    expect([link, token]).toEqual([
      `/codespecs?prefix=${own}&limit=2&api-version=1.0`,
      expect.stringMatching(/^[\w%-]+$/),
    ]);
    const last = (await api.call("GET", page.nextLink)).json();
    expect(last.items).toHaveLength(1);
    expect(last.nextLink).toBeUndefined();
  });

  test("the link to the next page keeps the whole query, question marks included", async () => {
    for (const name of ["a", "b"]) await put(name, { kind: "job", image: "i" });
    const { nextLink } = (await api.call("GET", `/codespecs?api-version=1.0&x=a?b&limit=1&prefix=${own}`)).json();
    expect(nextLink).toMatch(`/codespecs?api-version=1.0&x=a?b&limit=1&prefix=${own}&_ct=`);
  });

  test("quantities come back as Kubernetes writes them, empty members not at all", async () => {
    const resources = { requests: { cpu: "1000m", memory: "1.5Gi" }, limits: { cpu: "" }, gpu: 2, shm: "1G" };
    const answer = await put("q", { kind: "job", image: "i", resources, workingDir: "", command: [], env: {} });
    const { name: _name, version: _version, createdAt: _createdAt, ...codespec } = answer.json();
    expect(codespec).toEqual({
      kind: "job",
      image: "i",
      resources: { requests: { cpu: "1", memory: "1536Mi" }, gpu: "2", shm: "1G" },
    });
  });

  test("property names match in any case, numbers can be text, a worker has endpoints", async () => {
    const answer = await put("w", { kind: "worker", IMAGE: "i", MaxReplicas: "3", endpoints: { Grad: "80" } });
    expect(answer.json()).toMatchObject({ kind: "worker", image: "i", maxReplicas: 3, endpoints: { Grad: 80 } });
  });

  describe("a codespec is refused", () => {
    const socket = (fields: object) => ({
      kind: "job",
      image: "i",
      buffers: { inputs: ["in"], outputs: ["out"] },
      sockets: [fields],
    });
    const names = (...inputs: string[]) => ({ kind: "job", image: "i", buffers: { inputs } });

    test.each([
      [{ image: "i" }, "Missing discriminator property 'kind'"],
      [{ Kind: "job", image: "i" }, "Missing discriminator property 'kind'"],
      [{ kind: "pod", image: "i" }, "Invalid value for the property 'kind'. It can be either 'job' or 'worker'"],
      [{ kind: null, image: "i" }, "Invalid value for the property 'kind'. It can be either 'job' or 'worker'"],
      [{ kind: "job" }, "missing required properties including: 'image'"],
      [{ kind: "job", image: "" }, "at $.image"],
      [{ kind: "job", image: "i", KIND: "job" }, "the property 'KIND' is not known"],
      [{ kind: "job", image: "i", endpoints: { a: 1 } }, "the property 'endpoints' is not known"],
      [{ kind: "worker", image: "i", buffers: { inputs: ["a"] } }, "the property 'buffers' is not known"],
      [{ kind: "job", image: "i", resources: { cpu: "1" } }, "at $.resources: the property 'cpu' is not known"],
      [{ kind: "job", image: "i", resources: { requests: { cpu: "lots" } } }, "The quantity 'lots' is not valid"],
      [{ kind: "job", image: "i", args: "x" }, "at $.args"],
      [{ kind: "job", image: "i", maxReplicas: "many" }, "at $.maxReplicas"],
      [{ kind: "job", image: "i", env: { "A=B": "1" } }, "The environment variable 'A=B'"],
      [{ kind: "job", image: "i", name: "other" }, "The codespec name 'other' is not the '"],
      [names("In"), "Buffer names must consist"],
      [names("-a"), "Buffer names must consist"],
      [names("a_b"), "Buffer names must consist"],
      [names("a".repeat(300)), "Buffer names must consist"],
      [names(""), "A buffer name must not be empty"],
      [{ kind: "job", image: "i", buffers: { inputs: ["a"], outputs: ["a"] } }, "'a' is given more than once"],
      [names("a", "A"), "'A' is given more than once"],
      [socket({ port: 0, inputBuffer: "in" }), "The socket port '0' is not between"],
      [socket({ port: 65536, inputBuffer: "in" }), "The socket port '65536' is not between"],
      [socket({ port: 80 }), "needs an input buffer or an output buffer"],
      [socket({ port: 80, inputBuffer: "out" }), "'out' of the socket on port 80 is not among the input buffers"],
      [socket({ port: 80, outputBuffer: "no" }), "'no' of the socket on port 80 is not among the output buffers"],
      [
        { ...socket({ port: 80, inputBuffer: "in" }), sockets: [1, 2].map((port) => ({ port, inputBuffer: "in" })) },
        "'in' is used by more than one socket",
      ],
      [{ ...socket({ port: 80, inputBuffer: "in" }), args: ["$(IN_PIPE)"] }, "'$(IN_PIPE)' cannot be referred to"],
    ])("%j: %s", async (body, message) => {
      const answer = await put("c", body);
      expect([answer.statusCode, answer.json().error.code]).toEqual([400, "InvalidInput"]);
      expect(answer.json().error.message).toContain(message);
    });

    test("an escaped reference to a socket's buffer is allowed, and unknown fields of sockets are ignored", async () => {
      const body = { ...socket({ port: "80", inputBuffer: "in", x: 1 }), args: ["$$(IN_PIPE)", "$(OUT_PIPE)"] };
      expect((await put("c", body)).json().sockets).toEqual([{ port: 80, inputBuffer: "in" }]);
    });

    test.each(["Hello", "a%2Fb", "a%20b", "x".repeat(256)])("for its name %s", async (name) => {
      const answer = await putAs(name, HELLO);
      expect([answer.statusCode, answer.json().error.code]).toEqual([400, "InvalidInput"]);
    });
  });
}
