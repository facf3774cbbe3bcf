import type { LaunchClaims } from "./compute.ts";
import type { PumpRecords } from "./pump-channel.ts";
import type { BufferRecords, LocationRecords, ClusterRunRecords, CodespecRecords, RunRecords } from "./records.ts";

/** Decides which one of several processes does something. A lease that is not renewed expires, by the database's clock. */
export interface Leases {
  /**
   * Takes the lease, or renews it for its holder, for the next `lifeMs`. False while another holder has it.
   * @throws CodedError Unavailable within 5 s
   */
  take(name: string, holder: string, lifeMs: number): Promise<boolean>;
  /** Gives up the lease, if `holder` has it. @throws CodedError Unavailable within 5 s */
  release(name: string, holder: string): Promise<void>;
}

/** The one way to the tables. Every failure is a `CodedError` where a caller can tell, and none contains a parameter. */
export interface Database {
  /** 10 characters of `[a-z2-7]`, born with the database. */
  installationId: string;
  /** How many migrations the schema has been through. */
  schemaVersion: number;
  codespecs: CodespecRecords;
  buffers: BufferRecords;
  locations: LocationRecords;
  runs: RunRecords;
  runsIn(cluster: string): ClusterRunRecords;
  claims: LaunchClaims;
  leases: Leases;
  pumps: PumpRecords;
  /** @throws CodedError Unavailable within 5 s */
  ping(): Promise<void>;
  close(): Promise<void>;
}
