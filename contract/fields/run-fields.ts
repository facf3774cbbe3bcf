import { DEFAULT_TIMEOUT_SECONDS, RUN_STATUSES } from "../../model/run/run.ts";
import { CODESPEC } from "./codespec-fields.ts";
import type { Table } from "./field.ts";

/** A century: a longer time to live is a slip, and can end beyond the last timestamp. */
const MAX_TTL_SECONDS = 36_525 * 86_400;

const TARGET = {
  name: "RunCodeTarget",
  doc: "A codespec and how to run it.",
  variants: { job: "JobRunCodeTarget" },
  fields: {
    codespec: {
      type: { reference: CODESPEC },
      doc: "The codespec itself, or a stored one: name or name/versions/N.",
      request: "required",
      answer: "always",
      nullable: false,
    },
    buffers: { type: { mapOf: "text" }, doc: "Buffer id by parameter name; missing ones are created.", only: "job" },
    tags: { type: { mapOf: "text" }, doc: "Tags of the buffers that are created.", only: "job" },
    bufferTtl: {
      type: "timeSpan",
      doc: "Life of the buffers that are created.",
      only: "job",
      min: 0,
      max: MAX_TTL_SECONDS,
    },
    nodePool: { type: "text", doc: "The node pool to run in." },
    replicas: { type: "int32", doc: "Number of parallel replicas.", min: 0, default: 1, nullable: false },
  },
} as const satisfies Table;

export const RUN = {
  name: "Run",
  doc: "One execution of a job.",
  fields: {
    id: {
      type: "int64",
      doc: "Set by the server, ascending.",
      request: "ignored",
      answer: "always",
      isProgress: true,
      columns: [{ title: "ID", at: 1 }],
    },
    status: {
      type: { oneOf: RUN_STATUSES },
      doc: "Set by the server.",
      request: "ignored",
      answer: "always",
      isProgress: true,
      columns: [{ title: "STATUS", at: 2 }],
    },
    statusReason: {
      type: "text",
      doc: "Why the run has its status.",
      request: "ignored",
      isProgress: true,
      columns: [{ title: "REASON", at: 6, isWide: true }],
    },
    runningCount: { type: "int32", doc: "Number of running replicas.", request: "ignored", isProgress: true },
    createdAt: {
      type: "instant",
      doc: "Set by the server.",
      request: "ignored",
      answer: "always",
      isProgress: true,
      columns: [
        { title: "AGE", at: 4, isAge: true },
        { title: "CREATED", at: 8, isWide: true },
      ],
    },
    startedAt: { type: "instant", doc: "When the job began to run.", request: "ignored", isProgress: true },
    finishedAt: { type: "instant", doc: "When the run ended.", request: "ignored", isProgress: true },
    kind: {
      type: { oneOf: ["user", "system"] },
      doc: "Omitted for runs of users; system runs cannot be created.",
      file: "refused",
      nullable: false,
    },
    job: {
      type: { object: TARGET, as: "job" },
      doc: "What the run executes.",
      request: "required",
      answer: "always",
      nullable: false,
    },
    worker: { type: { object: TARGET, as: "worker" }, doc: "Workers beside the job." },
    cluster: { type: "text", doc: "The cluster to run in." },
    timeoutSeconds: {
      type: "int32",
      doc: "Time for the run to complete, from its creation.",
      min: 1,
      default: DEFAULT_TIMEOUT_SECONDS,
      answer: "always",
    },
    tags: {
      type: { mapOf: "text" },
      doc: "Labels to find the run by.",
      columns: [{ title: "TAGS", at: 7, isWide: true }],
    },
    eTag: {
      type: "text",
      doc: "Changes whenever a client can see a change of the run.",
      request: "ignored",
      answer: "always",
    },
    bufferAccessTtl: {
      type: "timeSpan",
      doc: "Life of the access URLs that clients ask for, 30 seconds to 1 hour.",
      min: 30,
      max: 3600,
      default: "01:00:00",
      answer: "always",
      nullable: false,
    },
  },
} as const satisfies Table;

/** The fields of a run that can be changed; clients also send back others. */
export const RUN_UPDATE = {
  name: "RunUpdate",
  doc: "The changes to a run.",
  ignoresUnknown: true,
  fields: {
    id: { type: "int64", doc: "The id in the path, if given." },
    tags: { type: { mapOf: "text" }, doc: "All tags that the run has afterwards; without them it has none." },
  },
} as const satisfies Table;

export const RUN_PAGE = {
  name: "RunPage",
  doc: "A page of runs, the newest first.",
  fields: {
    items: { type: { listOf: { object: RUN } }, doc: "The runs.", answer: "always", nullable: false },
    nextLink: { type: "uri", doc: "The relative URL of the next page; omitted on the last one." },
  },
} as const satisfies Table;
