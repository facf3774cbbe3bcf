import type { LaunchClaims } from "./compute.ts";
import type { BufferRecords, CodespecRecords, RunRecords } from "./records.ts";

/** The one way to the tables. Every failure is a `CodedError` where a caller can tell, and none contains a parameter. */
export interface Database {
  /** 10 characters of `[a-z2-7]`, born with the database. */
  installationId: string;
  /** How many migrations the schema has been through. */
  schemaVersion: number;
  codespecs: CodespecRecords;
  buffers: BufferRecords;
  runs: RunRecords;
  claims: LaunchClaims;
  /** True when this process is the one that reconciles; to be asked before each pass. */
  takeReconcilerLock: () => Promise<boolean>;
  /** @throws CodedError Unavailable within 5 s */
  ping(): Promise<void>;
  close(): Promise<void>;
}
