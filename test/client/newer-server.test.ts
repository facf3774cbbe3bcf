import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Tyger, connect, hasEnded, type Run } from "../../client/index.ts";
import { eventually } from "../eventually.ts";
import { FakeServer, reply } from "../fakes/tyger-server.ts";

let server: FakeServer;
let client: Tyger;
beforeEach(async () => {
  server = await new FakeServer().start();
  client = await connect({ server: `unix://${server.socketPath}` });
});
afterEach(() => server.stop());

const NEW = { newField: 1, newObject: { a: [true] } };

describe("fields that this client does not know", () => {
  test("stay in what is shown, and disturb nothing", async () => {
    server.run = { id: 7, status: "Running", job: { codespec: "c", ...NEW }, ...NEW };
    server.codespecs.set("c", { kind: "job", image: "x", ...NEW });
    server.on("GET", /^\/buffers\/b/, (_, response) => reply(response, 200, { id: "b", ...NEW }));
    server.on("POST", /^\/buffers\/b\/access/, (_, response) => reply(response, 201, { uri: "http://x", ...NEW }));
    server.on("GET", /^\/runs\?/, (_, response) => reply(response, 200, { items: [server.run], total: 1, ...NEW }));
    server.on("GET", /^\/metadata/, (_, response) => reply(response, 200, { capabilities: ["Teleport"], ...NEW }));
    expect(await client.runs.show(7)).toMatchObject({ id: 7, ...NEW });
    expect(await client.codespecs.show("c")).toMatchObject({ image: "x", ...NEW });
    expect(await client.buffers.show("b")).toEqual({ id: "b", ...NEW });
    expect(await client.buffers.access("b")).toBe("http://x");
    expect(await client.metadata()).toMatchObject({ capabilities: ["Teleport"] });
    for await (const run of client.runs.list()) expect(run).toMatchObject({ id: 7, ...NEW });
  });

  test("in an error leave code and message", async () => {
    const error = { code: "NotFound", message: "gone", ...NEW };
    server.on("GET", /^\/runs\/8/, (_, response) => reply(response, 404, { error, ...NEW }));
    await expect(client.runs.show(8)).rejects.toMatchObject({ code: "NotFound", message: "NotFound: gone" });
  });
});

describe("a status that this client does not know", () => {
  test("is not an end", () => {
    expect(hasEnded({ status: "Suspended" })).toBe(false);
  });

  test("is watched until the run has ended", async () => {
    server.run = { id: 7, status: "Suspended" };
    const seen: Run["status"][] = [];
    const watching = (async () => {
      for await (const { status } of client.runs.watch(7)) seen.push(status);
    })();
    await eventually(() => seen.length > 0);
    server.changeRun({ status: "Running" });
    await eventually(() => seen.length > 1);
    server.changeRun({ status: "Succeeded" });
    await watching;
    expect(seen).toEqual(["Suspended", "Running", "Succeeded"]);
  });

  test("is the last one when the server twice has nothing to add", async () => {
    server.on("GET", /watch=true/, (_, response) => response.end('{"id":7,"status":"Evicted"}\n'));
    const seen: Run["status"][] = [];
    for await (const { status } of client.runs.watch(7)) seen.push(status);
    expect(seen).toEqual(["Evicted", "Evicted"]);
    expect(server.requests("GET", /watch=true/)).toHaveLength(2);
  });

  test("does not end the execution of a run", async () => {
    const codespec = { kind: "job" as const, image: "x", buffers: { inputs: ["in"], outputs: ["out"] } };
    server.job = async (input) => {
      server.changeRun({ status: "Suspended" });
      await eventually(() => changes.includes("Suspended"));
      server.changeRun({ status: "Running" });
      return { output: input };
    };
    const changes: string[] = [];
    const { output, ended } = await client.runs.exec(
      { job: { codespec } },
      { input: "x", onChange: ({ status }) => changes.push(status) },
    );
    expect(await text(output)).toBe("x");
    expect(await ended).toMatchObject({ status: "Succeeded" });
  });
});
