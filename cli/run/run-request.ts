import { parseGoDuration } from "../read/go-duration.ts";
import type { ArgsDef, Values } from "../line/command.ts";
import type { CodespecFile, RunFile, TargetFile } from "../read/spec-file.ts";
import { formatTtl, parseTtl } from "../read/ttl.ts";

/** Flags that `run create` and `run exec` share. */
export const runArgs = {
  file: {
    type: "string",
    alias: "f",
    valueHint: "path",
    suggest: "file",
    isOnce: true,
    description: "YAML file with the run, - for stdin; flags override it",
  },
  codespec: {
    type: "string",
    alias: "c",
    suggest: "codespec",
    description: "Codespec of the job: name or name/versions/N",
  },
  version: { type: "string", description: "Version of the codespec (default: latest)" },
  replicas: { type: "int", alias: "r", description: "Number of parallel job replicas (default: 1)" },
  "node-pool": { type: "string", description: "Node pool of the job" },
  buffer: { type: "map", alias: "b", valueHint: "parameter=id", description: "Buffers for the codespec's parameters" },
  "buffer-tag": { type: "map", description: "Tags for buffers created for the run" },
  "buffer-ttl": {
    type: "string",
    valueHint: "D.HH:MM[:SS]",
    description: "Delete buffers created for the run after this time",
    parse: bufferTtl,
  },
  "worker-codespec": { type: "string", suggest: "codespec", description: "Codespec of the workers" },
  "worker-version": { type: "string", description: "Version of the worker codespec" },
  "worker-replicas": { type: "int", description: "Number of workers" },
  "worker-node-pool": { type: "string", description: "Node pool of the workers" },
  cluster: { type: "string", description: "Cluster to run in" },
  timeout: {
    type: "string",
    valueHint: "duration",
    description: "Maximum time from creation to completion: 300s, 1.5h, 2h45m",
    parse: wholeSeconds,
  },
  tag: { type: "map", description: "Tags for the run" },
  pull: { type: "boolean", description: "Pull the run's images first" },
  "buffer-access-ttl": { type: "string", hidden: true, description: "How long access URLs are valid", parse: parseTtl },
} as const satisfies ArgsDef;

export type RunFlags = Values<typeof runArgs>;

/** The body of `POST /runs`: a run file that has a codespec. */
export interface RunRequest extends RunFile {
  job: TargetFile & { codespec: string | CodespecFile };
}

/** The server's limit. */
const MAX_TIMEOUT_SECONDS = 2 ** 31 - 1;

function wholeSeconds(text: string): number {
  const seconds = Number(parseGoDuration(text) / 1_000_000_000n);
  if (seconds < 1) throw new Error("it must be at least one second");
  if (seconds > MAX_TIMEOUT_SECONDS) throw new Error("it must be at most 68 years (596523h)");
  return seconds;
}

function bufferTtl(text: string): string {
  if (!/^[0-9]+\.[0-9]{2}:[0-9]{2}(?::[0-9]{2})?$/.test(text)) {
    throw new Error("use the form D.HH:MM or D.HH:MM:SS");
  }
  parseTtl(text);
  return text;
}

/** Merges file and flags; flags win. @throws Error if there is no codespec */
export function runRequestOf(file: RunFile, flags: RunFlags): RunRequest {
  const worker = workerOf(file.worker, flags);
  const timeoutSeconds = flags.timeout ?? file.timeoutSeconds;
  const accessTtl = flags["buffer-access-ttl"];
  const bufferAccessTtl = accessTtl === undefined ? file.bufferAccessTtl : formatTtl(accessTtl);
  const tags = flags.tag ? { ...file.tags, ...flags.tag } : file.tags;
  const cluster = flags.cluster ?? file.cluster;
  return {
    job: jobOf(file.job ?? {}, flags),
    ...(worker && { worker }),
    ...(cluster !== undefined && { cluster }),
    ...(timeoutSeconds !== undefined && { timeoutSeconds }),
    ...(tags && { tags }),
    ...(bufferAccessTtl !== undefined && { bufferAccessTtl }),
  };
}

function jobOf(file: TargetFile, flags: RunFlags): RunRequest["job"] {
  const codespec = codespecOf(file.codespec, flags.codespec, flags.version, ["--codespec", "--version", "job"]);
  if (codespec === undefined) throw new Error("a codespec is required: use --codespec, or job.codespec in the file");
  const nodePool = flags["node-pool"] ?? file.nodePool;
  const ttl = flags["buffer-ttl"] ?? file.bufferTtl;
  return {
    ...file,
    codespec,
    ...(flags.buffer && { buffers: { ...file.buffers, ...flags.buffer } }),
    ...(flags["buffer-tag"] && { tags: { ...file.tags, ...flags["buffer-tag"] } }),
    ...(ttl !== undefined && { bufferTtl: ttl }),
    ...(nodePool !== undefined && { nodePool }),
    ...(flags.replicas !== undefined && { replicas: flags.replicas }),
  };
}

function workerOf(file: TargetFile | undefined, flags: RunFlags): TargetFile | undefined {
  const { "worker-codespec": name, "worker-version": version, "worker-replicas": replicas } = flags;
  const nodePool = flags["worker-node-pool"];
  if (!file && [name, version, replicas, nodePool].every((flag) => flag === undefined)) return undefined;
  const codespec = codespecOf(file?.codespec, name, version, ["--worker-codespec", "--worker-version", "worker"]);
  if (codespec === undefined) throw new Error("a worker needs a codespec: use --worker-codespec");
  return {
    ...file,
    codespec,
    ...(nodePool !== undefined && { nodePool }),
    ...(replicas !== undefined && { replicas }),
  };
}

function codespecOf(
  file: string | CodespecFile | undefined,
  name: string | undefined,
  version: string | undefined,
  [nameFlag, versionFlag, kind]: readonly [string, string, "job" | "worker"],
): string | CodespecFile | undefined {
  if (name === undefined && version !== undefined) throw new Error(`${versionFlag} requires ${nameFlag}`);
  if (name !== undefined) return version === undefined ? name : `${name}/versions/${version}`;
  return typeof file === "object" ? { ...file, kind } : file;
}
