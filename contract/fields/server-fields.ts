import type { Table } from "./field.ts";

export const METADATA = {
  name: "ServiceMetadata",
  doc: "What the server is and can do.",
  fields: {
    rbacEnabled: { type: "boolean", doc: "Requests need a token with a role.", nullable: false },
    authority: { type: "text", doc: "Who gives out tokens; omitted if none is needed." },
    audience: { type: "text", doc: "The audience that a token must be for." },
    apiAppUri: { type: "text", doc: "The URI of the API in its directory." },
    apiAppId: { type: "text", doc: "The id of the API in its directory." },
    cliAppUri: { type: "text", doc: "The URI of the command line in its directory." },
    cliAppId: { type: "text", doc: "The id of the command line in its directory." },
    scope: { type: "text", doc: "The scope to ask for; the audience unless given." },
    capabilities: { type: { listOf: "text" }, doc: "What the server supports.", answer: "always" },
    apiVersions: { type: { listOf: "text" }, doc: "The versions of the API that it speaks.", answer: "always" },
    storageEndpoints: { type: { listOf: "uri" }, doc: "The URLs of its data planes.", answer: "always" },
  },
} as const satisfies Table;

export const DATABASE_VERSION = {
  name: "DatabaseVersionInUse",
  doc: "The schema of the database.",
  fields: { id: { type: "int32", doc: "The version of the schema.", answer: "always", nullable: false } },
} as const satisfies Table;

const ERROR_INFO = {
  name: "ErrorInfo",
  doc: "What went wrong.",
  fields: {
    code: { type: "text", doc: "One of a closed list of codes.", answer: "always", nullable: false },
    message: { type: "text", doc: "One sentence for the caller.", answer: "always", nullable: false },
    apiVersions: { type: { listOf: "text" }, doc: "The supported versions, if the version was the problem." },
  },
} as const satisfies Table;

export const ERROR_BODY = {
  name: "ErrorBody",
  doc: "The body of an answer that reports an error.",
  fields: { error: { type: { object: ERROR_INFO }, doc: "The error.", answer: "always", nullable: false } },
} as const satisfies Table;
