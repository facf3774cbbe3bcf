/** Resources as Kubernetes writes them: canonical quantity strings (`500m`, `1`, `2Gi`). */
export interface CodespecResources {
  requests?: { cpu?: string; memory?: string };
  limits?: { cpu?: string; memory?: string };
  gpu?: string;
  shm?: string;
}

export interface BufferParameters {
  inputs?: string[];
  outputs?: string[];
}

export interface Socket {
  port: number;
  inputBuffer?: string;
  outputBuffer?: string;
}

interface CodespecFields {
  image: string;
  command?: string[];
  args?: string[];
  workingDir?: string;
  env?: Record<string, string>;
  identity?: string;
  resources?: CodespecResources;
  maxReplicas?: number;
}

export interface JobCodespec extends CodespecFields {
  kind: "job";
  buffers?: BufferParameters;
  sockets?: Socket[];
}

export interface WorkerCodespec extends CodespecFields {
  kind: "worker";
  endpoints?: Record<string, number>;
}

/** A codespec without the fields that the server sets. */
export type Codespec = JobCodespec | WorkerCodespec;

/** A stored version of a codespec. `createdAt` as in {@link Run}. */
export type CodespecVersion = Codespec & { name: string; version: number; createdAt: string };

/** All parameters of a job codespec with their direction, inputs first. */
export function bufferParametersOf(codespec: JobCodespec): { name: string; direction: "input" | "output" }[] {
  return [
    ...(codespec.buffers?.inputs ?? []).map((name) => ({ name, direction: "input" as const })),
    ...(codespec.buffers?.outputs ?? []).map((name) => ({ name, direction: "output" as const })),
  ];
}

/** `^[a-z0-9\-._]*$`; an empty name is refused where a codespec is stored. */
export const CODESPEC_NAME = /^[a-z0-9\-._]*$/;

/** `name` or `name/versions/N`: how a run names a stored codespec. */
export const CODESPEC_REFERENCE = /^(?<name>[a-z0-9\-._]+)(?:\/versions\/(?<version>[0-9]+))?$/;

/** How the server names the version that a run was made from; a request can name it in the same way. */
export const codespecRefOf = (name: string, version: number): string => `${name}/versions/${version}`;
