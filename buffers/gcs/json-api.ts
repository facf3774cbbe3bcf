import { createHash, randomBytes } from "node:crypto";
import { CodedError } from "../../model/errors.ts";
import type { BucketObject, BucketPage, BucketSettings, ListQuery, UploadFacts } from "./bucket.ts";
import { Garbled, Refusal } from "./failures.ts";
import type { Answer, Call, Send } from "./http.ts";

/** Headers that show who we are; none for an emulator. */
export interface Credentials {
  /** @throws Error when there are none */
  headers(): Promise<Record<string, string>>;
  /** The server refused the last ones: ask for others. */
  renew(): void;
}

/** Each of the requests that we send to a bucket, once, with its error unchanged. */
export interface BucketRequests {
  /** @throws Refusal 412 when there is an object of that name; CodedError Md5Mismatch */
  upload(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, facts: UploadFacts): Promise<BucketObject>;
  /** @throws Refusal 404 */
  stat(name: string): Promise<BucketObject>;
  /** The bytes up to the end that the server knows. @throws Refusal 404, 416; Garbled */
  download(name: string, range: { from: number; to: number; generation?: string }): AsyncGenerator<Uint8Array, void>;
  list(query: ListQuery): Promise<BucketPage>;
  /** @throws Refusal 404 */
  remove(name: string): Promise<void>;
  settings(): Promise<BucketSettings>;
}

/** Only what we read: lists of names are long. */
const OBJECT_FIELDS = "name,size,md5Hash,metadata,generation";
const LIST_FIELDS = "items(name),prefixes,nextPageToken";
/** Answers that we read as a whole are short. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** @see https://cloud.google.com/storage/docs/json_api/v1 */
export function requestsTo(bucket: string, send: Send, credentials: Credentials): BucketRequests {
  const ofBucket = `/b/${encodeURIComponent(bucket)}`;
  const pathOf = (name: string): string => `/storage/v1${ofBucket}/o/${encodeURIComponent(name)}`;
  const ask = async (call: Call): Promise<Answer> => {
    const answer = await send({ ...call, headers: { ...(await credentials.headers()), ...call.headers } });
    if (answer.status < 300) return answer;
    if (answer.status === 401) credentials.renew();
    throw refusalIn(answer.status, await textOf(answer));
  };
  const askJson = async <T>(call: Call): Promise<T> => {
    const text = await textOf(await ask(call));
    try {
      return JSON.parse(text) as T; // Read field by field where it is used.
    } catch (err) {
      throw new Garbled("the answer is not JSON", { cause: err });
    }
  };
  const get = <T>(path: string, query: Query): Promise<T> => askJson<T>({ method: "GET", path: path + queryOf(query) });

  const remove = async (name: string, generation?: string): Promise<void> => {
    await textOf(await ask({ method: "DELETE", path: pathOf(name) + queryOf({ ifGenerationMatch: generation }) }));
  };

  return {
    async upload(name, content, { contentMd5, metadata }) {
      const query = queryOf({ uploadType: "multipart", ifGenerationMatch: 0, name, fields: OBJECT_FIELDS });
      const boundary = `tyger-${randomBytes(12).toString("hex")}`;
      const facts = { name, metadata, ...(contentMd5 !== undefined && { md5Hash: contentMd5 }) };
      const seal = hashing(contentMd5);
      const stored = await askJson<ObjectResource>({
        method: "POST",
        path: `/upload/storage/v1${ofBucket}/o${query}`,
        headers: { "content-type": `multipart/related; boundary=${boundary}` },
        body: multipart(boundary, facts, content, seal),
      });
      const object = objectIn(stored);
      const sent = contentMd5 ?? seal.md5();
      if (sent !== undefined && object.contentMd5 !== sent) {
        // Its writer gets an error, so no reader must find it.
        await remove(name, object.generation);
        throw new Garbled("the stored object has another MD5 than what was sent");
      }
      return object;
    },

    async stat(name) {
      return objectIn(await get<ObjectResource>(pathOf(name), { fields: OBJECT_FIELDS }));
    },

    async *download(name, { from, to, generation }) {
      const path = pathOf(name) + queryOf({ alt: "media", generation });
      const asked = { method: "GET", path, headers: { range: `bytes=${from}-${to - 1}` } } as const;
      const { status, body, headers } = await ask(asked);
      if (status !== 206 || headers["content-range"]?.startsWith(`bytes ${from}-`) !== true) {
        throw new Garbled("the answer is not the range that was asked for");
      }
      const announced = Number(headers["content-length"] ?? to - from);
      let bytes = 0;
      for await (const piece of body) {
        bytes += piece.length;
        yield piece;
      }
      if (bytes < announced) throw new Garbled(`the answer has ${bytes} bytes, not ${announced}`);
    },

    async list({ prefix, delimiter, limit, after }) {
      const query = { prefix, delimiter, maxResults: limit, pageToken: after, fields: LIST_FIELDS };
      const found = await get<ListResource>(`/storage/v1${ofBucket}/o`, query);
      const { items = [], prefixes = [], nextPageToken } = found;
      return {
        names: items.map(({ name }) => name),
        prefixes,
        ...(nextPageToken !== undefined && { next: nextPageToken }),
      };
    },

    remove: (name) => remove(name),

    settings: async () => settingsIn(await get<BucketResource>(`/storage/v1${ofBucket}`, {})),
  };
}

type Query = Record<string, string | number | undefined>;

function queryOf(query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return given.length === 0
    ? ""
    : `?${given.map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`).join("&")}`;
}

/** The fields that we ask for. Numbers of 64 bits are text. */
interface ObjectResource {
  name: string;
  size: string;
  md5Hash: string;
  metadata?: Record<string, string>;
  generation: string;
}

interface ListResource {
  items?: { name: string }[];
  prefixes?: string[];
  nextPageToken?: string;
}

interface BucketResource {
  location?: string;
  iamConfiguration?: { uniformBucketLevelAccess?: { enabled?: boolean } };
  softDeletePolicy?: { retentionDurationSeconds?: string };
  versioning?: { enabled?: boolean };
  retentionPolicy?: { retentionPeriod?: string };
}

const objectIn = ({ name, size, md5Hash, metadata = {}, generation }: ObjectResource): BucketObject => ({
  name,
  sizeBytes: Number(size),
  contentMd5: md5Hash,
  metadata,
  generation,
});

const settingsIn = (bucket: BucketResource): BucketSettings => ({
  location: bucket.location ?? "unknown",
  isUniformAccess: bucket.iamConfiguration?.uniformBucketLevelAccess?.enabled === true,
  softDeleteSeconds: Number(bucket.softDeletePolicy?.retentionDurationSeconds ?? 0),
  isVersioned: bucket.versioning?.enabled === true,
  retentionSeconds: Number(bucket.retentionPolicy?.retentionPeriod ?? 0),
});

/** A request of two parts: the object's facts, then its content. */
function multipart(
  boundary: string,
  facts: object,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  seal: Hashing,
): NonNullable<Call["body"]> {
  const part = (type: string): string => `--${boundary}\r\nContent-Type: ${type}\r\n\r\n`;
  const before = Buffer.from(
    `${part("application/json")}${JSON.stringify(facts)}\r\n${part("application/octet-stream")}`,
  );
  const after = Buffer.from(`\r\n--${boundary}--`);
  if (content instanceof Uint8Array) return [before, content, after];
  return (async function* () {
    yield before;
    yield* seal.pass(content);
    // Without it the request is not whole, and nothing is stored.
    yield after;
  })();
}

interface Hashing {
  /** The same pieces. @throws CodedError Md5Mismatch, in place of the end */
  pass(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void>;
  /** Base64; undefined when nothing was passed. */
  md5(): string | undefined;
}

function hashing(expected: string | undefined): Hashing {
  let md5: string | undefined;
  return {
    async *pass(content) {
      const hash = createHash("md5");
      for await (const piece of content) {
        hash.update(piece);
        yield piece;
      }
      md5 = hash.digest("base64");
      if (expected !== undefined && md5 !== expected) throw md5Mismatch(md5, expected);
    },
    md5: () => md5,
  };
}

/** The bytes are others than their writer announced. */
export const md5Mismatch = (actual: string, expected: string): CodedError =>
  new CodedError("Md5Mismatch", `The bytes have the MD5 '${actual}', not '${expected}'`);

async function textOf({ body, headers }: Answer): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error("The answer of the bucket is too long");
  }
  const announced = Number(headers["content-length"] ?? bytes);
  if (bytes < announced) throw new Garbled(`the answer has ${bytes} bytes, not ${announced}`);
  return Buffer.concat(pieces).toString();
}

/** Google's own sentence, where the body has one. */
function refusalIn(status: number, text: string): Error {
  let message: unknown;
  try {
    message = Object(Object(JSON.parse(text)).error).message;
  } catch {
    message = text.slice(0, 200);
  }
  const said = typeof message === "string" && message !== "" ? message : `status ${status}`;
  // We send no bytes with another MD5, so they changed on their way.
  return status === 400 && /MD5 hash/i.test(said) ? new Garbled(said) : new Refusal(status, said);
}
