import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Tyger, connect, type JobCodespec, type NewRun } from "../../../client/index.ts";
import { eventually } from "../../eventually.ts";
import { FakeServer, reply } from "../../fakes/tyger-server.ts";

let server: FakeServer;
let client: Tyger;
beforeEach(async () => {
  server = await new FakeServer().start();
  client = await connect({ server: `unix://${server.socketPath}` });
});
afterEach(() => server.stop());

const jobWith = (buffers: JobCodespec["buffers"]): NewRun => ({
  job: { codespec: { kind: "job", image: "x", ...(buffers && { buffers }) } },
});
const PIPES = jobWith({ inputs: ["input"], outputs: ["output"] });
const forever = (): ReadableStream<Uint8Array> =>
  new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from("begin")) });

test("a run is fed, gives its output, and ends", async () => {
  server.job = async (input) => ({ output: Buffer.from(`Hello ${input.toString()}`) });
  const statuses: string[] = [];
  const { run, output, ended } = await client.runs.exec(PIPES, {
    input: new Blob(["Paul"]).stream(),
    onChange: ({ status }) => statuses.push(status),
  });
  expect(run.id).toBe(7);
  expect(await text(output)).toBe("Hello Paul");
  expect(await ended).toMatchObject({ id: 7, status: "Succeeded" });
  expect(statuses.at(-1)).toBe("Succeeded");
});

test("a run of a stored codespec without buffers needs neither input nor reader", async () => {
  server.codespecs.set("c", { kind: "job", image: "x" });
  const { output, ended } = await client.runs.exec({ job: { codespec: "c/versions/2" } });
  expect(await text(output)).toBe("");
  expect(await ended).toMatchObject({ status: "Succeeded" });
});

test("an input for which nothing is given is empty", async () => {
  const { output } = await client.runs.exec(PIPES);
  expect(await text(output)).toBe("");
});

test("buffers that the caller gave are the caller's to move", async () => {
  const request = { job: { ...PIPES.job, buffers: { input: "mine", output: "_" } } };
  const { ended } = await client.runs.exec(request, { signal: AbortSignal.timeout(60_000) });
  await client.buffers.write("mine", "x");
  expect(await ended).toMatchObject({ status: "Succeeded" });
  await expect(client.runs.exec(request, { input: "x" })).rejects.toThrow("the job has no input without a buffer");
});

test.each([
  [{ inputs: ["a", "b"] }, "the job has several inputs without a buffer: give buffers for all but one of 'a', 'b'"],
  [{ outputs: ["a", "b"] }, "the job has several outputs without a buffer: give buffers for all but one of 'a', 'b'"],
])("a job with %j is refused before it is created", async (buffers, message) => {
  await expect(client.runs.exec(jobWith(buffers))).rejects.toThrow(message);
  expect(server.seen).toEqual([]);
});

test("a run that fails does not throw; its output fails with it", async () => {
  server.job = async () => ({ status: "Failed", statusReason: "exit code 3" });
  const { output, ended } = await client.runs.exec(PIPES, { input: "x" });
  const reading = text(output);
  reading.catch(() => undefined);
  expect(await ended).toMatchObject({ status: "Failed", statusReason: "exit code 3" });
  await expect(reading).rejects.toThrow("run 7 ended with status Failed (exit code 3)");
});

test("an input that fails rejects, ends the output, and marks the input as not whole", async () => {
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("x");
    throw new Error("unplugged");
  }
  const { output, ended } = await client.runs.exec(PIPES, { input: failing() });
  const reading = text(output);
  reading.catch(() => undefined);
  await expect(ended).rejects.toThrow("unplugged");
  await expect(reading).rejects.toThrow("unplugged");
  expect(server.blobs.get("binput/.bufferend")?.bytes.toString()).toBe('{"status":"failed"}');
});

test("a run that succeeds without reading its whole input does not wait for the rest", async () => {
  server.on("POST", /^\/runs\?/, (_request, response) => {
    server.run = { id: 7, status: "Running", job: { buffers: { input: "binput" } } };
    reply(response, 201, server.run);
  });
  const { ended } = await client.runs.exec(jobWith({ inputs: ["input"] }), { input: forever() });
  await eventually(() => server.blobs.has("binput/.bufferstart"));
  server.changeRun({ status: "Succeeded" });
  expect(await ended).toMatchObject({ status: "Succeeded" });
  expect(server.blobs.get("binput/.bufferend")?.bytes.toString()).toBe('{"status":"failed"}');
});

test("an abort cancels the run and marks its input as not whole", async () => {
  const ending = new AbortController();
  const reason = new Error("enough");
  const { output, ended } = await client.runs.exec(PIPES, { input: forever(), signal: ending.signal });
  const reading = text(output);
  reading.catch(() => undefined);
  await eventually(() => server.blobs.has("binput/.bufferstart"));
  ending.abort(reason);
  await expect(ended).rejects.toBe(reason);
  await expect(reading).rejects.toBe(reason);
  expect(server.requests("POST", /^\/runs\/7\/cancel/)).toHaveLength(1);
  expect(server.blobs.get("binput/.bufferend")?.bytes.toString()).toBe('{"status":"failed"}');
});

test("an abort during the creation cancels the run as soon as it is known", async () => {
  const ending = new AbortController();
  const created = Promise.withResolvers<void>();
  server.on("POST", /^\/runs\?/, async (_request, response) => {
    ending.abort(new Error("enough"));
    await created.promise;
    response.writeHead(201).end('{"id":7,"status":"Pending"}');
  });
  await expect(client.runs.exec(PIPES, { signal: ending.signal })).rejects.toThrow("enough");
  created.resolve();
  await eventually(() => server.requests("POST", /^\/runs\/7\/cancel/).length === 1);
});
