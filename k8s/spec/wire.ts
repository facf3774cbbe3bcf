import type { V1ConfigMap, V1Container, V1Pod, V1Secret, V1Toleration } from "@kubernetes/client-node";

/** A type of the client library as it is in JSON: instants are text there, with all that the library's dates would lose. */
type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? Wire<Item>[]
    : T extends object
      ? { [Key in keyof T]: Wire<T[Key]> }
      : T;

export type Pod = Wire<V1Pod>;
export type Secret = Wire<V1Secret>;
export type ConfigMap = Wire<V1ConfigMap>;
export type Container = Wire<V1Container>;
export type Toleration = Wire<V1Toleration>;
export type ObjectMeta = NonNullable<Pod["metadata"]>;
export type PodSpec = NonNullable<Pod["spec"]>;
export type ContainerStatus = NonNullable<NonNullable<Pod["status"]>["containerStatuses"]>[number];
