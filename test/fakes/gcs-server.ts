import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import type { Certificate } from "./certificate.ts";
import { readMultipart } from "./gcs-multipart.ts";

interface Stored {
  name: string;
  bytes: Buffer;
  md5Hash: string;
  metadata: Record<string, string>;
  generation: number;
}

/** A request as faults see it. */
export interface SeenRequest {
  kind: "upload" | "stat" | "download" | "list" | "remove" | "settings" | "unknown";
  /** Of the object. */
  name: string;
  authorization?: string | undefined;
}

/**
 * How a request fails: an answer with that status; the connection is reset before anything is done, or after all was done; the answer is
 * cut after half its bytes; nothing happens, or all is done, and no answer comes; the stored bytes are not those that were sent.
 */
export type Fault =
  | 408
  | 429
  | 500
  | 502
  | 503
  | 401
  | 403
  | "reset"
  | "lostAnswer"
  | "cut"
  | "stall"
  | "stallAfter"
  | "garble";

class Refused extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

export interface GcsServerOptions {
  /** The resource of the only bucket. */
  bucket?: { name?: string } & Record<string, unknown>;
  /** With it, over TLS. */
  certificate?: Certificate;
  /** Requests must have this token. */
  token?: () => string;
}

/** Names and values together. */
const MAX_METADATA_BYTES = 8 * 1024;
/** The parameters that each request can have; anything else is refused, so that a misspelled precondition is noticed. */
const QUERIES: Record<SeenRequest["kind"], readonly string[]> = {
  upload: ["uploadType", "name", "ifGenerationMatch", "fields"],
  stat: ["fields", "generation", "ifGenerationMatch"],
  download: ["alt", "generation", "ifGenerationMatch"],
  list: ["prefix", "delimiter", "maxResults", "pageToken", "fields"],
  remove: ["ifGenerationMatch", "generation"],
  settings: ["fields"],
  unknown: [],
};

/**
 * A server of the calls to a bucket that we use, as strict as Google's documentation: it checks MD5 and preconditions on each path, stores
 * whole uploads only, and fails on request.
 * @see https://cloud.google.com/storage/docs/json_api/v1
 */
export class GcsServer {
  readonly objects = new Map<string, Stored>();
  readonly seen: SeenRequest[] = [];
  readonly #server;
  readonly #bucket: { name: string } & Record<string, unknown>;
  readonly #token: (() => string) | undefined;
  readonly #scheme: "http" | "https";
  #generation = 1_700_000_000_000_000;
  #faults: { fault: Fault; applies: (request: SeenRequest) => boolean; times: number }[] = [];
  bucketExists = true;
  /** How many requests were made to fail. */
  faulted = 0;

  constructor({ bucket = {}, certificate, token }: GcsServerOptions = {}) {
    this.#bucket = { name: "test-bucket", kind: "storage#bucket", location: "EUROPE-WEST4", ...bucket };
    this.#token = token;
    this.#scheme = certificate ? "https" : "http";
    const handle = (req: IncomingMessage, res: ServerResponse): void => void this.#answer(req, res);
    this.#server = certificate ? createTlsServer(certificate, handle) : createServer(handle);
  }

  get bucket(): string {
    return this.#bucket.name;
  }

  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    const { port: taken } = this.#server.address() as AddressInfo;
    return `${this.#scheme}://127.0.0.1:${taken}`;
  }

  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    return closed;
  }

  /** Connections that are open. */
  connections(): Promise<number> {
    return new Promise((resolve) => this.#server.getConnections((_, count) => resolve(count)));
  }

  /** The next `times` requests that apply fail. */
  fail(fault: Fault, applies: SeenRequest["kind"] | ((request: SeenRequest) => boolean) = () => true, times = 1): void {
    const test = typeof applies === "string" ? ({ kind }: SeenRequest) => kind === applies : applies;
    this.#faults.push({ fault, applies: test, times });
  }

  count(kind: SeenRequest["kind"]): number {
    return this.seen.filter((request) => request.kind === kind).length;
  }

  #nextFault(request: SeenRequest): Fault | undefined {
    const found = this.#faults.find(({ applies, times }) => times > 0 && applies(request));
    if (!found) return undefined;
    found.times -= 1;
    this.faulted += 1;
    return found.fault;
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? "", "http://server");
    const request = { ...requestOf(req.method ?? "", url), authorization: req.headers.authorization };
    this.seen.push(request);
    const fault = this.#nextFault(request);
    try {
      if (fault === "reset") return void req.socket.destroy();
      if (fault === "stall") return;
      // As a server that looks at the token first.
      if (fault === 401 || fault === 403) throw new Refused(fault, "injected", `injected ${fault}`);
      // A client that leaves halfway has sent nothing.
      const body = await buffer(req);
      if (typeof fault === "number") throw new Refused(fault, "injected", `injected ${fault}`);
      const answer = this.#handle(request, url, req, fault === "garble" ? garbled(body) : body);
      if (fault === "lostAnswer") return void req.socket.destroy();
      if (fault === "stallAfter") return;
      res.writeHead(answer.status, { "content-length": answer.body.length, ...answer.headers });
      if (fault !== "cut") return void res.end(answer.body);
      res.write(answer.body.subarray(0, answer.body.length / 2), () => req.socket.destroy());
    } catch (err) {
      if (!(err instanceof Refused)) return void req.socket.destroy();
      const { status: code, reason, message } = err;
      const text = JSON.stringify({ error: { code, message, errors: [{ domain: "global", reason, message }] } });
      res.writeHead(code, {
        "content-type": "application/json; charset=UTF-8",
        "content-length": Buffer.byteLength(text),
      });
      res.end(text);
    }
  }

  #handle(request: SeenRequest, url: URL, req: IncomingMessage, body: Buffer): Answer {
    const { kind, name } = request;
    const unknown = [...url.searchParams.keys()].find((key) => !QUERIES[kind].includes(key));
    if (kind === "unknown") throw new Refused(404, "notFound", "Not Found");
    if (unknown !== undefined) throw new Refused(400, "invalidParameter", `Unknown parameter: ${unknown}`);
    if (this.#token && req.headers.authorization !== `Bearer ${this.#token()}`) {
      throw new Refused(401, "authError", "Invalid Credentials");
    }
    const bucket = decodeURIComponent(/\/b\/([^/]+)/.exec(url.pathname)?.[1] ?? "");
    if (bucket !== this.#bucket.name || !this.bucketExists) {
      throw new Refused(404, "notFound", "The specified bucket does not exist.");
    }
    if (kind === "settings") return json(this.#bucket);
    if (kind === "list") return json(this.#list(url.searchParams));
    if (kind === "upload") return json(this.#upload(req, url.searchParams, body));
    const object = this.#find(name, url.searchParams);
    if (kind === "stat") return json(resourceOf(object));
    if (kind === "remove") {
      this.objects.delete(name);
      return { status: 204, body: Buffer.alloc(0) };
    }
    return download(object, req.headers.range);
  }

  #find(name: string, query: URLSearchParams): Stored {
    const object = this.objects.get(name);
    const generation = query.get("generation");
    if (!object || (generation !== null && Number(generation) !== object.generation)) {
      throw new Refused(404, "notFound", `No such object: ${this.#bucket.name}/${name}`);
    }
    checkGeneration(object, query);
    return object;
  }

  #upload(req: IncomingMessage, query: URLSearchParams, body: Buffer): object {
    if (query.get("uploadType") !== "multipart") throw new Refused(400, "invalid", "uploadType must be multipart");
    const { facts, bytes } = partsOf(req.headers["content-type"] ?? "", body);
    const name = query.get("name") ?? facts["name"];
    if (typeof name !== "string" || name === "" || Buffer.byteLength(name) > 1024 || /[\r\n]/.test(name)) {
      throw new Refused(400, "required", "Required parameter: name");
    }
    const md5Hash = createHash("md5").update(bytes).digest("base64");
    const given = facts["md5Hash"] ?? md5Hash;
    if (given !== md5Hash) {
      const message = `Provided MD5 hash ${JSON.stringify(given)} doesn't match calculated MD5 hash "${md5Hash}".`;
      throw new Refused(400, "invalid", message);
    }
    const metadata = (facts["metadata"] ?? {}) as Record<string, string>;
    const metadataBytes = Object.entries(metadata)
      .flat()
      .reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    if (metadataBytes > MAX_METADATA_BYTES) throw new Refused(400, "invalid", "The metadata is too large");
    checkGeneration(this.objects.get(name), query);
    const object = { name, bytes, md5Hash, metadata, generation: (this.#generation += 1) };
    this.objects.set(name, object);
    return resourceOf(object);
  }

  #list(query: URLSearchParams): object {
    const { prefix = "", delimiter = "", pageToken } = Object.fromEntries(query);
    const limit = Math.min(Number(query.get("maxResults") ?? 1000), 1000);
    const entries = new Set<string>();
    for (const name of [...this.objects.keys()].filter((each) => each.startsWith(prefix)).sort()) {
      const end = delimiter === "" ? -1 : name.indexOf(delimiter, prefix.length);
      entries.add(end < 0 ? name : name.slice(0, end + delimiter.length));
    }
    const after = pageToken === undefined ? "" : Buffer.from(pageToken, "base64url").toString();
    const left = [...entries].filter((entry) => entry > after);
    const page = left.slice(0, limit);
    const items = page.flatMap((entry) => this.objects.get(entry) ?? []).map(({ name }) => ({ name }));
    const prefixes = page.filter((entry) => !this.objects.has(entry));
    return {
      ...(items.length > 0 && { items }),
      ...(prefixes.length > 0 && { prefixes }),
      ...(page.length < left.length && { nextPageToken: Buffer.from(page.at(-1) ?? "").toString("base64url") }),
    };
  }
}

interface Answer {
  status: number;
  body: Buffer;
  headers?: Record<string, string>;
}

const json = (value: object): Answer => ({
  status: 200,
  body: Buffer.from(JSON.stringify(value)),
  headers: { "content-type": "application/json; charset=UTF-8" },
});

const resourceOf = ({ name, bytes, md5Hash, metadata, generation }: Stored): object => ({
  name,
  size: String(bytes.length),
  md5Hash,
  generation: String(generation),
  // Google leaves out what is empty.
  ...(Object.keys(metadata).length > 0 && { metadata }),
});

function requestOf(method: string, { pathname, searchParams }: URL): SeenRequest {
  const [, upload] = /^\/upload\/storage\/v1\/b\/[^/]+\/(o)$/.exec(pathname) ?? [];
  if (method === "POST" && upload !== undefined) return { kind: "upload", name: searchParams.get("name") ?? "" };
  const [matches, objects, encoded = ""] = /^\/storage\/v1\/b\/[^/]+(\/o)?(?:\/([^/]+))?$/.exec(pathname) ?? [];
  const name = decodeURIComponent(encoded);
  if (matches === undefined || !["GET", "DELETE"].includes(method)) return { kind: "unknown", name };
  if (name !== "" && method === "DELETE") return { kind: "remove", name };
  if (name !== "") return { kind: searchParams.get("alt") === "media" ? "download" : "stat", name };
  return { kind: objects === undefined ? "settings" : "list", name };
}

function partsOf(contentType: string, body: Buffer): ReturnType<typeof readMultipart> {
  try {
    return readMultipart(contentType, body);
  } catch (err) {
    throw new Refused(400, "badContent", `Malformed multipart body: ${String(err)}`);
  }
}

function checkGeneration(object: Stored | undefined, query: URLSearchParams): void {
  const wanted = query.get("ifGenerationMatch");
  if (wanted === null || Number(wanted) === (object?.generation ?? 0)) return;
  throw new Refused(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.");
}

function download({ bytes, md5Hash, generation }: Stored, range: string | undefined): Answer {
  const headers = { "x-goog-hash": `md5=${md5Hash}`, "x-goog-generation": String(generation) };
  if (range === undefined) return { status: 200, body: bytes, headers };
  const [, from = "", to = ""] = /^bytes=([0-9]+)-([0-9]*)$/.exec(range) ?? [];
  const start = Number(from);
  const end = to === "" ? bytes.length : Math.min(Number(to) + 1, bytes.length);
  if (from === "" || start >= bytes.length || end <= start) {
    throw new Refused(416, "requestedRangeNotSatisfiable", "Request range not satisfiable");
  }
  const contentRange = `bytes ${start}-${end - 1}/${bytes.length}`;
  return { status: 206, body: bytes.subarray(start, end), headers: { ...headers, "content-range": contentRange } };
}

/** One bit is another; that of the content, which is before the last delimiter. */
function garbled(body: Buffer): Buffer {
  const changed = Buffer.from(body);
  const at = changed.lastIndexOf("\r\n--") - 1;
  changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
  return changed;
}
