import type { ObjectStore } from "../model/ports/objects.ts";
import type { LocationRecords } from "../model/ports/records.ts";
import type { BufferStore } from "../model/ports/store.ts";

/** As the configuration has it. */
export type Location = { name: string } & (
  | { folder: string }
  | {
      bucket: string;
      /** Empty, or with a slash at its end. */
      prefix: string;
      endpoint?: string | undefined;
    }
);

/** The part of a logger that reports on locations. */
export interface LocationLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export interface LocationOptions {
  dataDir: string;
  records: LocationRecords;
  /** In the name of every object of a bucket, which several installations can share. */
  installationId: string;
}

/** A location with what is kept there. */
export interface OpenLocation {
  /** The folder in which pumps of this machine find its buffers; absent where only the data plane leads to them. */
  storeDir?: string;
  store: BufferStore;
  objects: ObjectStore;
  /** @throws CodedError Unavailable when nothing can be stored there */
  check(): Promise<void>;
  /** Writes a line for each of its properties that users should know. @throws as `check` */
  report(log: LocationLog): Promise<void>;
}
