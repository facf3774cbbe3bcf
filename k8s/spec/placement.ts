import type { CodespecResources } from "../../model/codespec/codespec.ts";
import { quantityValue } from "../../model/codespec/quantity.ts";
import { CodedError } from "../../model/errors.ts";
import type { NodePool, PodSettings } from "./cluster-settings.ts";
import type { PodSpec, Toleration } from "./wire.ts";

export const wantsGpu = (resources: CodespecResources | undefined): boolean =>
  resources?.gpu !== undefined && quantityValue(resources.gpu) > 0;

/**
 * The node pools on which a job can run: the one that it names (in any case), or all that fit. Empty on a cluster without
 * node pools.
 * @throws CodedError InvalidInput; clients compare the start of the message about an unknown pool
 */
export function eligiblePools(
  { nodePools }: Pick<PodSettings, "nodePools">,
  requested: string | undefined,
  needsGpu: boolean,
): readonly NodePool[] {
  const known = nodePools.map(({ name }) => `'${name}'`).join(", ");
  if (!requested) {
    const fitting = nodePools.filter(({ hasGpu = false }) => hasGpu === needsGpu);
    if (fitting.length > 0 || nodePools.length === 0) return fitting;
    // Jobs without GPUs run on nodes that have some where there are no others.
    if (!needsGpu) return nodePools;
    throw new CodedError("InvalidInput", `The codespec needs GPUs, and no node pool of the cluster has any (${known})`);
  }
  const name = requested.toLowerCase();
  const pool = nodePools.find((each) => each.name.toLowerCase() === name);
  if (!pool) {
    const choice = nodePools.length === 0 ? "the cluster has no node pools" : `the cluster has ${known}`;
    throw new CodedError("InvalidInput", `Unknown nodepool '${requested}'; ${choice}`);
  }
  if (needsGpu && !pool.hasGpu) {
    throw new CodedError("InvalidInput", `The codespec needs GPUs, and the node pool '${pool.name}' has none`);
  }
  return [pool];
}

/** The service account of a codespec's identity. @throws CodedError InvalidInput */
export function serviceAccountOf(
  { identities }: Pick<PodSettings, "identities">,
  identity: string | undefined,
): string | undefined {
  if (!identity) return undefined;
  if (Object.hasOwn(identities, identity)) return identities[identity];
  const known = Object.keys(identities).map((name) => `'${name}'`);
  const choice = known.length === 0 ? "the cluster has no identities" : `the cluster has ${known.join(", ")}`;
  throw new CodedError("InvalidInput", `Unknown identity '${identity}'; ${choice}`);
}

const JOB_TAINT: Toleration = { key: "tyger", operator: "Equal", value: "run", effect: "NoSchedule" };
const GPU_TAINT: Toleration = { key: "sku", operator: "Equal", value: "gpu", effect: "NoSchedule" };

/** The part of a pod's specification that says on which nodes it can run. */
export function placementOf(
  pools: readonly NodePool[],
  { needsGpu, unreachableSeconds }: { needsGpu: boolean; unreachableSeconds: number },
): Pick<PodSpec, "nodeSelector" | "affinity" | "tolerations"> {
  const tolerations = [
    JOB_TAINT,
    ...(needsGpu || pools.some(({ hasGpu }) => hasGpu) ? [GPU_TAINT] : []),
    ...pools.flatMap((pool) => pool.tolerations ?? []),
    // The cluster deletes the pods of a node that it does not reach for this long, and their runs end then.
    ...["not-ready", "unreachable"].map((state) => ({
      key: `node.kubernetes.io/${state}`,
      operator: "Exists",
      effect: "NoExecute",
      tolerationSeconds: unreachableSeconds,
    })),
  ];
  const [pool, ...others] = pools;
  if (!pool) return { tolerations };
  if (others.length === 0) return { nodeSelector: { ...pool.nodeSelector }, tolerations };
  const nodeSelectorTerms = pools.map(({ nodeSelector }) => ({
    matchExpressions: Object.entries(nodeSelector).map(([key, value]) => ({ key, operator: "In", values: [value] })),
  }));
  return {
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
    tolerations,
  };
}
