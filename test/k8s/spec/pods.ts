import type { ContainerStatus, Pod } from "../../../k8s/spec/wire.ts";

type Status = NonNullable<Pod["status"]>;
type State = NonNullable<ContainerStatus["state"]>;

export const IMAGE = "registry.example.com/team/job:1";
/** When the tests' pods were put on their node. */
export const SCHEDULED_AT = "2026-01-01T10:00:00Z";
export const STARTED_AT = "2026-01-01T10:00:05Z";

export const containerStatus = (name: string, state: State): ContainerStatus => ({
  name,
  image: IMAGE,
  imageID: "",
  ready: false,
  restartCount: 0,
  state,
});

export const condition = (type: string, status: "True" | "False", reason?: string, message?: string) => ({
  type,
  status,
  lastTransitionTime: SCHEDULED_AT,
  ...(reason === undefined ? {} : { reason }),
  ...(message === undefined ? {} : { message }),
});

/** A pod of replica 0 of run 7 on a node, with this status. */
export function podOf(status: Status, metadata: Pod["metadata"] = {}, nodeName: string | undefined = "node-a"): Pod {
  return {
    metadata: { name: "run-7-job-0", uid: "u", creationTimestamp: SCHEDULED_AT, ...metadata },
    spec: { containers: [{ name: "main", image: IMAGE }], ...(nodeName === "" ? {} : { nodeName }) },
    status: { conditions: [condition("PodScheduled", "True"), condition("Initialized", "True")], ...status },
  };
}

export const withMain = (state: State, more: Status = {}): Status => ({
  phase: "Pending",
  containerStatuses: [containerStatus("main", state)],
  ...more,
});
