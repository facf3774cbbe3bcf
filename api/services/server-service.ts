import type { ComputeReader } from "../../model/ports/compute.ts";
import { within } from "../../waiting/bounded.ts";

/** The facts that clients ask for before versioned requests. Anonymous by contract, so it takes no caller. */
export interface ServerService {
  /** Whether everything that requests need answers. */
  isHealthy(): Promise<boolean>;
  /** The capabilities of this server, in the contract's order. `localUrls`: the caller gets URLs of a Unix socket. */
  capabilities(localUrls: boolean): Promise<string[]>;
  databaseVersion: number;
}

export interface ServerPorts {
  compute: Pick<ComputeReader, "hasGpu">;
  /** Those of the clusters. */
  capabilities: readonly string[];
  /** Each rejects when its part does not answer. */
  probes: readonly (() => Promise<unknown>)[];
  databaseVersion: number;
}

const PROBE_MS = 5000;

export function createServerService({ compute, capabilities, probes, databaseVersion }: ServerPorts): ServerService {
  return {
    databaseVersion,

    async isHealthy() {
      try {
        const all = Promise.all(probes.map((probe) => probe()));
        await within(PROBE_MS, all, () => new Error("a probe did not answer"));
        return true;
      } catch {
        return false;
      }
    },

    async capabilities(localUrls) {
      // An engine that is down has no GPU to give now; the other capabilities are the server's own.
      const hasGpu = await compute.hasGpu().catch(() => false);
      return [...(hasGpu ? ["Gpu"] : []), ...capabilities, ...(localUrls ? ["LocalBuffers"] : [])];
    },
  };
}
