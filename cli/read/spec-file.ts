import { readYamlFile, type Shape, type OpenStdin } from "./yaml-file.ts";

const QUANTITIES: Shape = { object: { cpu: "text", memory: "text" } };

/** A codespec as files spell it; the fields that the server sets are allowed and left to it. */
const CODESPEC: Shape = {
  object: {
    kind: "text",
    name: "text",
    version: "integer",
    createdAt: "text",
    buffers: { object: { inputs: "textList", outputs: "textList" } },
    sockets: { listOf: { object: { port: "integer", inputBuffer: "text", outputBuffer: "text" } } },
    image: "text",
    command: "textList",
    args: "textList",
    workingDir: "text",
    env: "freeMap",
    identity: "text",
    resources: { object: { requests: QUANTITIES, limits: QUANTITIES, gpu: "text", shm: "text" } },
    maxReplicas: "integer",
    endpoints: "numberMap",
  },
};

const TARGET: Readonly<Record<string, Shape>> = {
  codespec: { textOr: CODESPEC },
  nodePool: "text",
  replicas: "integer",
};

const RUN: Shape = {
  object: {
    job: { object: { ...TARGET, buffers: "freeMap", tags: "freeMap", bufferTtl: "text" } },
    worker: { object: TARGET },
    cluster: "text",
    timeoutSeconds: "integer",
    tags: "freeMap",
    bufferAccessTtl: "text",
  },
};

/** What a codespec file or an inline codespec says; the server checks the rest. */
export interface CodespecFile {
  kind?: string;
  name?: string;
  buffers?: { inputs?: string[]; outputs?: string[] };
  sockets?: { port?: number; inputBuffer?: string; outputBuffer?: string }[];
  image?: string;
  command?: string[];
  args?: string[];
  workingDir?: string;
  env?: Record<string, string>;
  identity?: string;
  resources?: {
    requests?: { cpu?: string; memory?: string };
    limits?: { cpu?: string; memory?: string };
    gpu?: string;
    shm?: string;
  };
  maxReplicas?: number;
  endpoints?: Record<string, number>;
}

export interface TargetFile {
  codespec?: string | CodespecFile;
  buffers?: Record<string, string>;
  tags?: Record<string, string>;
  bufferTtl?: string;
  nodePool?: string;
  replicas?: number;
}

export interface RunFile {
  job?: TargetFile;
  worker?: TargetFile;
  cluster?: string;
  timeoutSeconds?: number;
  tags?: Record<string, string>;
  bufferAccessTtl?: string;
}

/** @throws Error that names file, line and field. */
export async function readCodespecFile(path: string, stdin?: OpenStdin): Promise<CodespecFile> {
  const { version: _version, createdAt: _createdAt, ...codespec } = await readYamlFile(path, CODESPEC, stdin);
  return codespec;
}

/** @throws Error that names file, line and field. */
export const readRunFile = (path: string, stdin?: OpenStdin): Promise<RunFile> => readYamlFile(path, RUN, stdin);
