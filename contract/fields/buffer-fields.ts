import type { Table } from "./field.ts";

export const BUFFER = {
  name: "Buffer",
  doc: "A sequence of bytes that runs and users read and write.",
  fields: {
    id: {
      type: "text",
      doc: "26 characters, set by the server.",
      request: "ignored",
      answer: "always",
      nullable: false,
    },
    createdAt: { type: "instant", doc: "Set by the server.", request: "ignored", answer: "always" },
    location: { type: "text", doc: "Where the bytes are stored; the server's default if omitted.", answer: "always" },
    isSoftDeleted: {
      type: "boolean",
      doc: "The buffer is deleted and can still be restored.",
      request: "ignored",
      nullable: false,
      isHidden: true,
    },
    tags: { type: { mapOf: "text" }, doc: "Labels to find the buffer by." },
    eTag: { type: "text", doc: "Changes whenever the buffer does.", request: "ignored", answer: "always" },
    expiresAt: { type: "instant", doc: "When the buffer is deleted; never if omitted." },
  },
} as const satisfies Table;

export const BUFFER_ACCESS = {
  name: "BufferAccess",
  doc: "Temporary access to the bytes of a buffer.",
  fields: {
    uri: { type: "uri", doc: "A signed URL, valid for a limited time.", answer: "always", nullable: false },
  },
} as const satisfies Table;

export const STORAGE_ACCOUNT = {
  name: "StorageAccount",
  doc: "A unit of storage that buffers can be in.",
  fields: {
    name: { type: "text", doc: "Its name.", answer: "always", nullable: false },
    location: { type: "text", doc: "The location that buffers in it have.", answer: "always", nullable: false },
    endpoint: { type: "text", doc: "The URL of its data plane.", answer: "always", nullable: false },
  },
} as const satisfies Table;
