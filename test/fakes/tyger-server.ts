import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromServer } from "../../buffers/access/access.ts";
import { blobsOver } from "../../buffers/access/blob-client.ts";
import { writeBuffer } from "../../buffers/format/writer.ts";
import { eventually } from "../eventually.ts";

export interface SeenRequest {
  method: string;
  /** Path with query. */
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
}

type Handler = (request: SeenRequest, response: ServerResponse) => unknown;

/** The job of the one fake run: takes the input, and returns the output and how the run ends. */
export type FakeJob = (input: Buffer) => Promise<{ output?: Buffer; status?: string; statusReason?: string }>;

interface CodespecParameters {
  buffers?: { inputs?: string[]; outputs?: string[] };
}

interface RunRequest {
  job: { codespec: string | CodespecParameters; buffers?: Record<string, string> };
}

/** An HTTP server on a Unix socket that answers as the API does, as far as the commands look. */
export class FakeServer {
  readonly seen: SeenRequest[] = [];
  readonly blobs = new Map<string, { bytes: Buffer; headers: Record<string, string> }>();
  readonly codespecs = new Map<string, object>();
  run: Record<string, unknown> | undefined;
  job: FakeJob = async (input) => ({ output: input });
  log = "";
  /** A blob is stored when this resolves. */
  beforeStoring: ((path: string) => Promise<void> | undefined) | undefined;
  readonly #handlers: [method: string, path: RegExp, handler: Handler][] = [];
  readonly #watchers = new Set<ServerResponse>();
  #server = createServer((request, response) => void this.#answer(request, response));
  #folder = "";

  get socketPath(): string {
    return join(this.#folder, "api.sock");
  }

  get loginFile(): string {
    return join(this.#folder, "login");
  }

  async start(): Promise<this> {
    this.#folder ||= await mkdtemp(join(tmpdir(), "tyger-cli-"));
    await new Promise<void>((resolve) => this.#server.listen(this.socketPath, resolve));
    return this;
  }

  /** Cuts all connections and leaves the socket's file behind, as a killed process does. */
  async crash(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async restart(): Promise<void> {
    await rm(this.socketPath, { force: true });
    this.#server = createServer((request, response) => void this.#answer(request, response));
    await this.start();
  }

  async stop(): Promise<void> {
    await this.crash().catch(() => undefined);
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Answers requests that match in place of the usual way; the last one added is asked first. */
  on(method: string, path: RegExp, handler: Handler): void {
    this.#handlers.unshift([method, path, handler]);
  }

  requests(method: string, path: RegExp): SeenRequest[] {
    return this.seen.filter((request) => request.method === method && path.test(request.url));
  }

  changeRun(fields: Record<string, unknown>): void {
    this.run = { ...this.run, ...fields };
    for (const watcher of this.#watchers) this.#writeState(watcher);
  }

  cutWatches(): void {
    for (const watcher of this.#watchers) watcher.destroy();
    this.#watchers.clear();
  }

  #writeState(watcher: ServerResponse): void {
    watcher.write(`${JSON.stringify(this.run)}\n`);
    if (!["Succeeded", "Failed", "Canceled"].includes(String(this.run?.["status"]))) return;
    this.#watchers.delete(watcher);
    watcher.end();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      // The client gave its request up.
      return;
    }
    const body = Buffer.concat(chunks);
    const { method = "", url = "", headers } = request;
    if (url.startsWith("/containers/")) return this.#answerData(method, url, headers, body, response);
    const seen = { method, url, headers, body: body.toString() };
    this.seen.push(seen);
    response.setHeader("request-id", "request-1");
    const [, , handler] =
      this.#handlers.find(([m, path]) => m === method && path.test(url)) ??
      this.#routes.find(([m, path]) => m === method && path.test(url)) ??
      [];
    if (handler) handler(seen, response);
    else fail(response, 404, "NotFound", "The resource was not found");
  }

  readonly #routes: [string, RegExp, Handler][] = [
    ["GET", /^\/metadata/, (_, response) => reply(response, 200, { capabilities: ["Docker"], apiVersions: ["1.0"] })],
    [
      "PUT",
      /^\/codespecs\//,
      ({ url, body }, response) => {
        const name = url.split(/[/?]/)[2] ?? "";
        this.codespecs.set(name, JSON.parse(body) as object);
        response.setHeader("Location", `/codespecs/${name}/3`);
        reply(response, 201, { ...JSON.parse(body), name, version: 3 });
      },
    ],
    [
      "GET",
      /^\/codespecs\/[^?]/,
      ({ url }, response) => {
        const found = this.codespecs.get(url.split(/[/?]/)[2] ?? "");
        if (found) reply(response, 200, found);
        else fail(response, 404, "NotFound", "The resource was not found");
      },
    ],
    ["GET", /^\/codespecs\?/, (_, response) => reply(response, 200, { items: [...this.codespecs.values()] })],
    ["POST", /^\/buffers\?/, ({ body }, response) => reply(response, 201, { id: "buffer1", ...JSON.parse(body) })],
    [
      "POST",
      /^\/buffers\/[^/]+\/access/,
      ({ url }, response) => reply(response, 201, { uri: this.accessUrl(url.split("/")[2] ?? "") }),
    ],
    [
      "POST",
      /^\/runs\?/,
      ({ body }, response) => {
        const request = JSON.parse(body) as RunRequest;
        const { codespec } = request.job;
        const found = typeof codespec === "object" ? codespec : this.#codespecOf(codespec);
        if (found) reply(response, 201, this.#create(request, found));
        else fail(response, 400, "InvalidInput", `The codespec ${JSON.stringify(codespec)} was not found`);
      },
    ],
    [
      "GET",
      /^\/runs\/7\?.*watch=true/,
      (_, response) => {
        this.#watchers.add(response);
        this.#writeState(response);
      },
    ],
    ["GET", /^\/runs\/7\?/, (_, response) => reply(response, 200, this.run ?? {})],
    [
      "GET",
      /^\/runs\/7\/logs/,
      async (_, response) => {
        response.flushHeaders();
        await this.ended().catch(() => undefined);
        response.end(this.log);
      },
    ],
    [
      "PUT",
      /^\/runs\/7\?/,
      ({ body }, response) => {
        this.run = { ...this.run, ...(JSON.parse(body) as object), eTag: "2" };
        reply(response, 200, this.run);
      },
    ],
    [
      "POST",
      /^\/runs\/7\/cancel/,
      (_, response) => {
        this.changeRun({ status: "Canceled", statusReason: "Canceled by user" });
        reply(response, 202, this.run ?? {});
      },
    ],
  ];

  /** A signed URL of a buffer, of which the fake looks at no signature. */
  accessUrl(id: string): string {
    return `http+unix://${this.socketPath}:/containers/${id}?sig=x`;
  }

  ended(): Promise<unknown> {
    return eventually(() => /Succeeded|Failed|Canceled/.test(String(this.run?.["status"])), { withinMs: 15_000 });
  }

  /** The codespec that `name` or `name/versions/N` refers to; the fake keeps one version. */
  #codespecOf(reference: string): CodespecParameters | undefined {
    return this.codespecs.get(reference.split("/")[0] ?? "");
  }

  #create(request: RunRequest, codespec: CodespecParameters): object {
    const { job } = request;
    const { inputs = [], outputs = [] } = codespec.buffers ?? {};
    const buffers = Object.fromEntries(
      [...inputs, ...outputs].map((name) => [name, job.buffers?.[name] ?? `b${name}`]),
    );
    this.run = {
      id: 7,
      status: "Pending",
      ...request,
      job: { ...job, codespec, buffers },
      bufferAccessTtl: "01:00:00",
    };
    void this.#execute(inputs[0] && buffers[inputs[0]], outputs[0] && buffers[outputs[0]]);
    return this.run;
  }

  async #execute(input: string | undefined, output: string | undefined): Promise<void> {
    this.changeRun({ status: "Running" });
    const bytes = input === undefined ? Buffer.alloc(0) : await this.#contentOf(input);
    if (bytes === undefined) return;
    const { output: result, ...end } = await this.job(bytes);
    if (output !== undefined && result) await this.fill(output, result);
    if (this.run?.["status"] === "Running") this.changeRun({ status: "Succeeded", ...end });
  }

  /** Writes a complete buffer. */
  async fill(id: string, bytes: Buffer): Promise<void> {
    async function* once(): AsyncGenerator<Uint8Array> {
      yield bytes;
    }
    const access = fromServer(async () => this.accessUrl(id));
    await writeBuffer(once(), blobsOver(access));
  }

  async #contentOf(id: string): Promise<Buffer | undefined> {
    const ended = (): boolean => this.blobs.has(`${id}/.bufferend`) || this.run?.["status"] === "Canceled";
    await eventually(ended, { withinMs: 15_000 }).catch(() => undefined);
    if (this.blobs.get(`${id}/.bufferend`)?.bytes.toString() !== `{"status":"complete"}`) return undefined;
    const paths = [...this.blobs.keys()].filter((path) => path.startsWith(`${id}/0`)).sort();
    return Buffer.concat(paths.map((path) => this.blobs.get(path)?.bytes ?? Buffer.alloc(0)));
  }

  async #answerData(
    method: string,
    url: string,
    headers: IncomingMessage["headers"],
    body: Buffer,
    response: ServerResponse,
  ): Promise<void> {
    const path = url.slice("/containers/".length).split("?")[0] ?? "";
    if (method === "PUT") await this.beforeStoring?.(path);
    const blob = this.blobs.get(path);
    if (method === "PUT") {
      if (blob) return void response.writeHead(403, { "x-ms-error-code": "UnauthorizedBlobOverwrite" }).end();
      const metadata = Object.entries(headers).filter(([name]) => name.startsWith("x-ms-meta-"));
      this.blobs.set(path, { bytes: body, headers: Object.fromEntries(metadata) as Record<string, string> });
      return void response.writeHead(201).end();
    }
    if (!blob) return void response.writeHead(404, { "x-ms-error-code": "BlobNotFound" }).end();
    const md5 = createHash("md5").update(blob.bytes).digest("base64");
    response.writeHead(200, { ...blob.headers, "content-md5": md5, "content-length": blob.bytes.length });
    return void response.end(method === "HEAD" ? undefined : blob.bytes);
  }
}

/** Answers with JSON. */
export function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(body));
}

/** Answers with an error envelope. */
export const fail = (response: ServerResponse, status: number, code: string, message: string): void =>
  reply(response, status, { error: { code, message } });
