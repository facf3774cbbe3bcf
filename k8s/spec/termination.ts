import type { ContainerStatus } from "./wire.ts";

export type Terminated = NonNullable<NonNullable<ContainerStatus["state"]>["terminated"]>;

/** The kubelet writes this where it never learned how a container ended; the exit code beside it is invented. */
export const UNKNOWN_EXIT = "ContainerStatusUnknown";
