import { CHAIN_METADATA, WRITER_METADATA } from "../format/buffer-format.ts";
import { connectionFailureOf } from "../../model/errno.ts";
import { CodedError, errnoOf, messageOf, type ErrorCode } from "../../model/errors.ts";
import { INVALID_URL, type AccessSource } from "./access.ts";
import {
  isSameBlob,
  labelsOf,
  metadataOf,
  type BlobLabels,
  type BlobOptions,
  type Blobs,
  type BlobSource,
} from "../format/blobs.ts";
import { hashOf } from "../format/blob-hash.ts";
import { ask, targetOf, type Ask, type Reply } from "./http.ts";
import { TruncatedBody } from "./plain-get.ts";
import { doubling, retry } from "../../waiting/retry.ts";

const METADATA_HEADER = "x-ms-meta-";
/** The contract's limit of a whole data-plane request. */
const REQUEST_MS = 100_000;
const MD5_TRIES = 5;
const BODY_TRIES = 6;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/** One buffer's blobs over its signed URL: retries, refresh of the URL, and what each refusal means. */
export const blobsOver = (access: AccessSource, ca?: string): BlobSource => ({
  open: (options) => createBlobClient(access, ca, options),
});

function createBlobClient(
  access: AccessSource,
  ca: string | undefined,
  { signal, outageMs, allocate, hash, onRetry }: BlobOptions,
): Blobs {
  let wasReached = access.isGiven !== true;
  /** Sends until there is a final response; the server can have acted on the attempts before it. */
  const send = async (path: string, question: Omit<Ask, "timeoutMs">): Promise<Reply> => {
    const ended = question.signal ?? signal;
    let brokenBodies = 0;
    let url = await access.url();
    const isLocal = targetOf(blobUrl(url, path), ca).socketPath !== undefined;

    const sendOnce = async (): Promise<Reply> => {
      const reply = await ask(targetOf(blobUrl(url, path), ca), { ...question, signal: ended, timeoutMs: REQUEST_MS });
      wasReached = true;
      return reply;
    };
    const attempt = async (): Promise<Reply> => {
      try {
        const first = await sendOnce();
        if (first.status !== 403 || errorCodeOf(first) !== "AuthenticationFailed") return worthLookingAt(first);
        // The refusal does not distinguish an expired URL: only a fresh one shows that.
        url = await access.refresh(url, signal);
        return worthLookingAt(await sendOnce());
      } catch (err) {
        if (!(err instanceof TruncatedBody) || ++brokenBodies < BODY_TRIES) throw err;
        throw new CodedError("Unavailable", `The answer for blob '${path}' was cut off ${BODY_TRIES} times`);
      }
    };
    try {
      return await retry(attempt, {
        pauses: doubling(FIRST_PAUSE_MS, LONGEST_PAUSE_MS),
        outageMs,
        signal: ended,
        // Over a local socket, a server that was never reached is an error at once.
        passes: (err) => isPassing(err) && (wasReached || !isLocal || connectionFailureOf(err) !== "noListener"),
        onRetry: (err) => onRetry?.(reasonOf(err)),
      });
    } catch (err) {
      if (ended.aborted || !isPassing(err)) throw err;
      throw new CodedError("Unavailable", `The data plane does not answer: ${reasonOf(err)}`, { cause: err });
    }
  };

  return {
    async put(path, bytes, labels) {
      const metadata = Object.entries(metadataOf(labels)).map(([key, value]) => [METADATA_HEADER + key, value]);
      const headers = {
        "content-md5": labels.md5,
        "x-ms-blob-type": "BlockBlob",
        "x-ms-version": "2021-08-06",
        ...Object.fromEntries(metadata),
      };
      for (let mismatches = 0; ; mismatches++) {
        const reply = await send(path, { method: "PUT", headers, body: bytes });
        if (reply.status === 201) return true;
        const code = errorCodeOf(reply);
        if (code === "Md5Mismatch" && mismatches < MD5_TRIES) continue;
        if (code === "UnauthorizedBlobOverwrite") {
          const there = await send(path, { method: "HEAD" });
          if (there.status !== 200) throw refusal(there, path);
          return isSameBlob(labelsIn(there), labels);
        }
        throw refusal(reply, path);
      }
    },

    async get(path, waitSeconds, own) {
      const headers: Record<string, string> = waitSeconds > 0 ? { prefer: `wait=${waitSeconds}` } : {};
      for (let mismatches = 0; ; mismatches++) {
        const reply = await send(path, { method: "GET", headers, allocate, signal: own ?? signal });
        if (reply.status === 404 && errorCodeOf(reply) !== "ContainerNotFound") return undefined;
        if (reply.status !== 200) throw refusal(reply, path);
        const { bytes, md5 } = await hashOf(reply.body, hash);
        if (reply.headers["content-md5"] === md5) {
          const { chain } = labelsIn(reply);
          const wasHeld = reply.headers["preference-applied"] !== undefined;
          return { bytes, md5, wasHeld, ...(chain !== undefined && { chain }) };
        }
        if (mismatches >= MD5_TRIES) throw new CodedError("Md5Mismatch", `MD5 mismatch in blob '${path}'`);
      }
    },

    async exists(path) {
      const reply = await send(path, { method: "HEAD" });
      if (reply.status === 200) return true;
      if (reply.status === 404 && errorCodeOf(reply) !== "ContainerNotFound") return false;
      throw refusal(reply, path);
    },
  };
}

/** The URL of a blob: the container's path joined with the blob's, the query unchanged. */
function blobUrl(accessUrl: string, blobPath: string): string {
  const at = accessUrl.indexOf("?");
  return at < 0 ? `${accessUrl}/${blobPath}` : `${accessUrl.slice(0, at)}/${blobPath}${accessUrl.slice(at)}`;
}

const headerOf = (reply: Reply, name: string): string | undefined => {
  const value = reply.headers[name];
  return typeof value === "string" ? value : undefined;
};

/** The labels of the blob that an answer to GET or HEAD describes. */
const labelsIn = (reply: Reply): BlobLabels =>
  labelsOf(headerOf(reply, "content-md5") ?? "", {
    [CHAIN_METADATA]: headerOf(reply, METADATA_HEADER + CHAIN_METADATA),
    [WRITER_METADATA]: headerOf(reply, METADATA_HEADER + WRITER_METADATA),
  });

const errorCodeOf = (reply: Reply): string | undefined => headerOf(reply, "x-ms-error-code");

const MEANINGS: Record<string, [ErrorCode, string]> = {
  ContainerNotFound: ["ContainerNotFound", "the buffer does not exist"],
  AuthenticationFailed: ["AuthenticationFailed", INVALID_URL],
  AuthorizationPermissionMismatch: ["AuthorizationPermissionMismatch", "the access URL does not allow this"],
  Md5Mismatch: ["Md5Mismatch", "MD5 mismatch"],
};

function refusal(reply: Reply, path: string): Error {
  const [code, message] = MEANINGS[errorCodeOf(reply) ?? ""] ?? [];
  if (code !== undefined) return new CodedError(code, message ?? code);
  // Not our code Conflict, which means another writer's buffer.
  if (errorCodeOf(reply) === "Conflict") {
    return new Error("a blob of the buffer is damaged in the store; its data must be written again");
  }
  if (reply.status === FULL) {
    return new CodedError("Unavailable", "the buffer store has no space left: make room in the stack's data folder");
  }
  const body = reply.body.toString("utf8", 0, 300);
  return new Error(
    `The data plane answered ${reply.status} for blob '${path}' ${errorCodeOf(reply) ?? body}`.trimEnd(),
  );
}

/** A response that asks to try again later. */
class ServerBusy extends Error {}

/** @throws ServerBusy */
function worthLookingAt(reply: Reply): Reply {
  if (reply.status !== 429 && (reply.status < 500 || FINAL_STATUSES.has(reply.status))) return reply;
  const reason = reply.status === 503 ? "server is busy" : `operation timeout (${reply.status})`;
  const detail = messageIn(reply.body);
  throw new ServerBusy(detail === undefined ? reason : `${reason}: ${detail}`);
}

/** The sentence of our own server, such as that the disk of a location is away; that of another one is anything. */
function messageIn(body: Buffer): string | undefined {
  try {
    const { error }: { error?: { message?: unknown } } = Object(JSON.parse(body.toString()));
    return typeof error?.message === "string" ? error.message : undefined;
  } catch {
    return undefined;
  }
}

const reasonOf = (err: unknown): string => messageOf(err) || (errnoOf(err) ?? "connection lost");

/** Failures that can be temporary: the server restarts, or its socket does not exist yet. An unknown host name is final. */
function isPassing(err: unknown): boolean {
  if (err instanceof ServerBusy || err instanceof TruncatedBody) return true;
  const code = errnoOf(err);
  return code === "HPE_INVALID_CONSTANT" || (code !== "ENOTFOUND" && connectionFailureOf(err) !== undefined);
}

/** Status of a full disk. */
const FULL = 507;
/** Statuses of a full disk and of an unknown method. */
const FINAL_STATUSES = new Set([501, FULL]);
