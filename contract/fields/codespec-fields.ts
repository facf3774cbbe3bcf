import type { Table } from "./field.ts";

const PARAMETERS = {
  name: "BufferParameters",
  doc: "The buffers that a job takes, by parameter name.",
  fields: {
    inputs: {
      type: { listOf: "text" },
      doc: "Buffers that the job reads.",
      compared: "in any order",
      columns: [{ title: "INPUTS", at: 6, isWide: true }],
    },
    outputs: {
      type: { listOf: "text" },
      doc: "Buffers that the job writes.",
      compared: "in any order",
      columns: [{ title: "OUTPUTS", at: 7, isWide: true }],
    },
  },
} as const satisfies Table;

const SOCKET = {
  name: "Socket",
  doc: "A TCP port of the job whose connection carries buffers.",
  ignoresUnknown: true,
  fields: {
    port: {
      type: "int32",
      doc: "1 to 65535.",
      request: "required",
      min: -(2 ** 31),
      answer: "always",
      nullable: false,
    },
    inputBuffer: { type: "text", doc: "The input buffer that is sent to the port." },
    outputBuffer: { type: "text", doc: "The output buffer that receives what the port sends." },
  },
} as const satisfies Table;

const AMOUNTS = {
  name: "OvercommittableResources",
  doc: "Kubernetes quantities such as 500m, 1 or 2Gi.",
  fields: {
    cpu: { type: "quantity", doc: "CPU cores." },
    memory: { type: "quantity", doc: "Bytes of memory." },
  },
} as const satisfies Table;

const RESOURCES = {
  name: "CodespecResources",
  doc: "What each replica needs of its machine.",
  fields: {
    requests: { type: { object: AMOUNTS }, doc: "Reserved for each replica.", nullable: false },
    limits: { type: { object: AMOUNTS }, doc: "What a replica cannot exceed.", nullable: false },
    gpu: { type: "quantity", doc: "Number of GPUs." },
    shm: { type: "quantity", doc: "Size of /dev/shm." },
  },
} as const satisfies Table;

export const CODESPEC = {
  name: "Codespec",
  doc: "A program to run: a container image with its command, parameters and resources. A version never changes.",
  variants: { job: "JobCodespec", worker: "WorkerCodespec" },
  fields: {
    kind: {
      type: { kinds: ["job", "worker"] },
      doc: "What the program is.",
      request: "required",
      answer: "always",
      nullable: false,
      columns: [{ title: "KIND", at: 3 }],
    },
    name: {
      type: "text",
      doc: "Set by the server; a request can repeat the name of its path.",
      answer: "own",
      compared: "not at all",
      columns: [{ title: "NAME", at: 1 }],
    },
    version: {
      type: "int32",
      doc: "Set by the server, starting at 1.",
      request: "ignored",
      answer: "own",
      compared: "not at all",
      file: "ignored",
      columns: [{ title: "VERSION", at: 2 }],
    },
    createdAt: {
      type: "instant",
      doc: "Set by the server.",
      request: "ignored",
      answer: "own",
      compared: "not at all",
      file: "ignored",
      columns: [{ title: "AGE", at: 5, isAge: true }],
    },
    buffers: { type: { object: PARAMETERS }, doc: "The buffer parameters.", only: "job", nullable: false },
    sockets: { type: { listOf: { object: SOCKET } }, doc: "Ports that carry buffers.", only: "job" },
    image: {
      type: "text",
      doc: "The container image.",
      request: "required",
      notEmpty: true,
      answer: "always",
      nullable: false,
      columns: [{ title: "IMAGE", at: 4, isElastic: true }],
    },
    command: {
      type: { listOf: "text" },
      doc: "Replaces the entrypoint of the image.",
      columns: [{ title: "COMMAND", at: 8, isWide: true }],
    },
    args: { type: { listOf: "text" }, doc: "The arguments of the command." },
    workingDir: { type: "text", doc: "The folder in which the command starts." },
    env: { type: { mapOf: "text" }, doc: "Environment variables." },
    identity: { type: "text", doc: "The workload identity that the program runs as." },
    resources: { type: { object: RESOURCES }, doc: "What each replica needs.", nullable: false },
    maxReplicas: { type: "int32", doc: "Stored and returned, never enforced.", min: 0 },
    endpoints: { type: { mapOf: "int32" }, doc: "Port by endpoint name.", only: "worker", min: 1, max: 65_535 },
  },
} as const satisfies Table;

export const CODESPEC_PAGE = {
  name: "CodespecPage",
  doc: "A page of the latest version of each codespec, by name.",
  fields: {
    items: { type: { listOf: { object: CODESPEC } }, doc: "The codespecs.", answer: "always", nullable: false },
    nextLink: { type: "uri", doc: "The relative URL of the next page; omitted on the last one." },
  },
} as const satisfies Table;
