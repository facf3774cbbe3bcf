import { BUFFER, BUFFER_ACCESS, STORAGE_ACCOUNT } from "./fields/buffer-fields.ts";
import { CODESPEC, CODESPEC_PAGE } from "./fields/codespec-fields.ts";
import type { Table, Type } from "./fields/field.ts";
import type { AnswerOf, RequestOf } from "./fields/message-types.ts";
import { RUN, RUN_PAGE, RUN_UPDATE } from "./fields/run-fields.ts";
import { DATABASE_VERSION, ERROR_BODY, METADATA } from "./fields/server-fields.ts";
import { RUN_STATUSES, type RunStatus } from "../model/run/run.ts";

/** `logInstant` has nine digits where `instant` has six; `tags` is `tag[key]=value`, `statuses` any of those given. */
export type ParameterType = "text" | "boolean" | "int32" | "instant" | "logInstant" | "timeSpan" | "tags" | "statuses";

export interface Parameter {
  readonly type: ParameterType;
  readonly doc: string;
}

export interface Answer {
  /** Absent for an answer without JSON. */
  readonly type?: Type;
  /** The name of its status in the OpenAPI document. */
  readonly doc: string;
}

/** One operation of the control plane. `{name}` in its path is a parameter, which is always text. */
export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: `/${string}`;
  readonly doc: string;
  readonly operationId?: string;
  readonly query?: Readonly<Record<string, Parameter>>;
  readonly body?: Table;
  readonly answers: Readonly<Record<number, Answer>>;
  /** It answers whatever `api-version` is, and without a token. */
  readonly isNeutral?: true;
  /** A contributor cannot use it. */
  readonly isOwnerOnly?: true;
  /** It is not in the OpenAPI document. */
  readonly isUndocumented?: true;
}

const BAD_REQUEST = { 400: { doc: "Bad Request", type: { object: ERROR_BODY } } } as const;
const NOT_FOUND = { 404: { doc: "Not Found", type: { object: ERROR_BODY } } } as const;
const PRECONDITION_FAILED = { 412: { doc: "Precondition Failed", type: { object: ERROR_BODY } } } as const;

const PAGE = {
  limit: { type: "int32", doc: "Most items in the page, 20 unless given, at most 2000." },
  _ct: { type: "text", doc: "Where the page starts; nextLink has it." },
} as const;
const TAGS = { tag: { type: "tags", doc: "Only items with all of these tags." } } as const;
const SINCE = { since: { type: "instant", doc: "Only runs created after this instant." } } as const;

/** All operations of the control plane that exist, by the names that the server and its clients call them. */
export const ROUTES = {
  createBuffer: {
    method: "POST",
    path: "/buffers",
    operationId: "createBuffer",
    doc: "Creates a buffer.",
    body: BUFFER,
    answers: { 201: { doc: "Created", type: { object: BUFFER } } },
  },
  getBuffer: {
    method: "GET",
    path: "/buffers/{id}",
    operationId: "getBufferById",
    doc: "Gets a buffer.",
    query: { softDeleted: { type: "boolean", doc: "Get a buffer that is soft-deleted." } },
    answers: { 200: { doc: "OK", type: { object: BUFFER } }, ...BAD_REQUEST, ...NOT_FOUND },
  },
  accessBuffer: {
    method: "POST",
    path: "/buffers/{id}/access",
    operationId: "getBufferAccessString",
    doc: "Gets a signed URL for the bytes of a buffer.",
    query: {
      writeable: { type: "boolean", doc: "Also allow writing." },
      preferTcp: { type: "boolean", doc: "Ask for a TCP URL instead of one of a Unix socket." },
      fromDocker: { type: "boolean", doc: "The URL is used inside a container." },
      ttl: { type: "timeSpan", doc: "Life of the URL, 30 seconds to 1 hour." },
    },
    answers: { 201: { doc: "Created", type: { object: BUFFER_ACCESS } }, ...NOT_FOUND },
  },
  listStorageAccounts: {
    method: "GET",
    path: "/buffers/storage-accounts",
    operationId: "getStorageAccounts",
    doc: "Lists where buffers can be stored.",
    answers: { 200: { doc: "OK", type: { listOf: { object: STORAGE_ACCOUNT } } } },
  },
  putCodespec: {
    method: "PUT",
    path: "/codespecs/{name}",
    doc: "Stores a codespec; one that equals the latest version makes no new version.",
    body: CODESPEC,
    answers: {
      200: { doc: "OK", type: { object: CODESPEC } },
      201: { doc: "Created", type: { object: CODESPEC } },
      ...BAD_REQUEST,
    },
  },
  getCodespec: {
    method: "GET",
    path: "/codespecs/{name}",
    doc: "Gets the latest version of a codespec.",
    answers: { 200: { doc: "OK", type: { object: CODESPEC } } },
  },
  getCodespecVersion: {
    method: "GET",
    path: "/codespecs/{name}/versions/{version}",
    doc: "Gets a version of a codespec.",
    answers: { 200: { doc: "OK", type: { object: CODESPEC } } },
  },
  listCodespecs: {
    method: "GET",
    path: "/codespecs",
    doc: "Lists the latest version of each codespec.",
    query: { ...PAGE, prefix: { type: "text", doc: "Only names that start with this." } },
    answers: { 200: { doc: "OK", type: { object: CODESPEC_PAGE } } },
  },
  createRun: {
    method: "POST",
    path: "/runs",
    doc: "Creates a run.",
    body: RUN,
    answers: { 201: { doc: "Created", type: { object: RUN } }, ...BAD_REQUEST },
  },
  listRuns: {
    method: "GET",
    path: "/runs",
    doc: "Lists runs, the newest first.",
    query: {
      ...PAGE,
      ...SINCE,
      status: { type: "statuses", doc: "Only runs with one of these statuses." },
      ...TAGS,
    },
    answers: { 200: { doc: "Success", type: { object: RUN_PAGE } } },
  },
  countRuns: {
    method: "GET",
    path: "/runs/counts",
    doc: "Counts runs by status.",
    query: { ...SINCE, ...TAGS },
    answers: { 200: { doc: "Success", type: { mapOf: "int64", keys: RUN_STATUSES } } },
  },
  getRun: {
    method: "GET",
    path: "/runs/{runId}",
    doc: "Gets a run, or a line of JSON for each of its changes until it ends.",
    query: { watch: { type: "boolean", doc: "Keep sending the run whenever it changes." } },
    answers: { 200: { doc: "OK", type: { object: RUN } }, ...NOT_FOUND },
  },
  getRunLogs: {
    method: "GET",
    path: "/runs/{runId}/logs",
    doc: "Gets the log of a run as text.",
    query: {
      timestamps: { type: "boolean", doc: "Put a timestamp before each line." },
      tailLines: { type: "int32", doc: "Only this many lines from the end." },
      since: { type: "logInstant", doc: "Only lines after this instant." },
      follow: { type: "boolean", doc: "Keep sending lines until the run ends." },
    },
    answers: { 200: { doc: "OK" }, ...NOT_FOUND },
  },
  setRun: {
    method: "PUT",
    path: "/runs/{runId}",
    operationId: "setRunTags",
    doc: "Replaces the tags of a run, if its eTag is the one in the header If-Match.",
    body: RUN_UPDATE,
    answers: { 200: { doc: "OK", type: { object: RUN } }, ...NOT_FOUND, ...PRECONDITION_FAILED },
  },
  cancelRun: {
    method: "POST",
    path: "/runs/{runId}/cancel",
    doc: "Cancels a run.",
    answers: { 202: { doc: "Accepted", type: { object: RUN } }, ...NOT_FOUND },
  },
  sweepRuns: {
    method: "POST",
    path: "/runs/_sweep",
    doc: "Archives runs that have ended.",
    answers: { 200: { doc: "OK" } },
    isUndocumented: true,
  },
  getMetadata: {
    method: "GET",
    path: "/metadata",
    doc: "Gets what the server is and can do.",
    answers: { 200: { doc: "OK", type: { object: METADATA } } },
    isNeutral: true,
  },
  checkHealth: {
    method: "GET",
    path: "/healthcheck",
    doc: "Tells whether the server works.",
    answers: { 200: { doc: "OK" }, 503: { doc: "Service Unavailable" } },
    isNeutral: true,
    isUndocumented: true,
  },
  getOpenApiJson: {
    method: "GET",
    path: "/swagger/v1.0/swagger.json",
    doc: "Gets the OpenAPI document.",
    answers: { 200: { doc: "OK" } },
    isNeutral: true,
    isUndocumented: true,
  },
  getOpenApiYaml: {
    method: "GET",
    path: "/swagger/v1.0/swagger.yaml",
    doc: "Gets the OpenAPI document as YAML.",
    answers: { 200: { doc: "OK" } },
    isNeutral: true,
    isUndocumented: true,
  },
  getDatabaseVersion: {
    method: "GET",
    path: "/database-version-in-use",
    doc: "Gets the version of the database's schema.",
    answers: { 200: { doc: "OK", type: { object: DATABASE_VERSION } } },
    isNeutral: true,
  },
} as const satisfies Record<string, Route>;

type PathNames<P extends string> = P extends `${string}{${infer Name}}${infer Rest}` ? Name | PathNames<Rest> : never;

/** The values of the parameters in a route's path. */
export type PathOf<R extends Route> = { [K in PathNames<R["path"]>]: string };

type ParameterValue<T> = T extends "boolean"
  ? boolean
  : T extends "int32"
    ? number
    : T extends "tags"
      ? Record<string, string>
      : T extends "statuses"
        ? readonly RunStatus[]
        : string;

/** The query parameters of a route; all of them can be left out. */
export type QueryOf<R extends Route> = R extends { query: infer Q }
  ? { -readonly [K in keyof Q]?: (Q[K] extends { type: infer T } ? ParameterValue<T> : never) | undefined }
  : Record<string, never>;

/** The body that a client sends to a route; undefined for a route without one. */
export type BodyOf<R extends Route> = R extends { body: infer T extends Table } ? RequestOf<T> : undefined;

type TypeOf<T> = T extends { object: infer O extends Table }
  ? AnswerOf<O>
  : T extends { listOf: infer I }
    ? TypeOf<I>[]
    : T extends { mapOf: "int32" | "int64" }
      ? Record<string, number>
      : never;

/** The JSON of a route's success; undefined for a route whose answer is something else. */
export type SuccessOf<R extends Route> = {
  [S in keyof R["answers"]]: S extends 200 | 201 | 202
    ? R["answers"][S] extends { type: infer T }
      ? TypeOf<T>
      : undefined
    : never;
}[keyof R["answers"]];
