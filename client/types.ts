import type * as buffer from "../model/buffer/buffer.ts";
import type * as codespec from "../model/codespec/codespec.ts";
import { isTerminal, type Run as ServerRun, type RunStatus as KnownStatus } from "../model/run/run.ts";

/** A newer server may have statuses that are not in the list; such a run counts as open. */
export type RunStatus = KnownStatus | (string & {});

/** A run as the server shows it. Fields that a newer server adds are in the object, too. */
export type Run = Omit<ServerRun, "status"> & { status: RunStatus };

/** Whether a run has ended, so that its status never changes again. */
export const hasEnded = (run: { status: RunStatus }): boolean => isTerminal(run.status as KnownStatus);

/** A buffer as the server shows it. */
export type TygerBuffer = buffer.Buffer;

export type JobCodespec = codespec.JobCodespec;
export type WorkerCodespec = codespec.WorkerCodespec;
/** A stored version of a codespec. */
export type CodespecVersion = codespec.CodespecVersion;

/** A run that is to be created; the server fills in what is left out. */
export interface NewRun {
  job: NewJob;
  worker?: NewWorker;
  cluster?: string;
  /** From the creation of the run, not from its start. */
  timeoutSeconds?: number;
  tags?: Record<string, string>;
  /** TimeSpan `hh:mm:ss`, from half a minute to an hour. */
  bufferAccessTtl?: string;
}

export interface NewJob {
  /** `name`, `name/versions/N`, or the codespec itself. */
  codespec: string | JobCodespec;
  /** Buffer ids by parameter; the server makes buffers for the others. */
  buffers?: Record<string, string>;
  /** Of the buffers that the server makes. */
  tags?: Record<string, string>;
  /** TimeSpan after which the buffers that the server makes are deleted. */
  bufferTtl?: string;
  nodePool?: string;
  replicas?: number;
}

export interface NewWorker {
  codespec: string | WorkerCodespec;
  nodePool?: string;
  replicas?: number;
}

/** What a server says of itself before anybody has logged in. */
export interface ServiceMetadata {
  capabilities?: string[];
  apiVersions?: string[];
  storageEndpoints?: string[];
  /** Set when the server asks for tokens. */
  authority?: string;
}
