import { hasPump } from "../../model/run/pipes.ts";
import { indexesOf } from "../../model/run/replicas.ts";
import { deadlineOf, type RunRecord } from "../../model/run/run.ts";
import type { PodSettings } from "./cluster-settings.ts";
import { MAIN, mainContainerOf, mainVolumesOf } from "./main-container.ts";
import {
  CREATED_AT,
  fenceKeyOf,
  FINALIZER,
  jobLabelsOf,
  jobSecretNameOf,
  LABEL_REPLICA,
  podNameOf,
  REPLICA_COUNT,
  tokenKeyOf,
} from "./names.ts";
import { eligiblePools, placementOf, serviceAccountOf, wantsGpu } from "./placement.ts";
import { pumpPartsOf } from "./pump-container.ts";
import type { Pod, Secret } from "./wire.ts";

/** The cluster ends a pod this long after its run's deadline: for the time in which none of us is there to do it. */
const DEADLINE_MARGIN_MS = 300_000;
const MAX_SECONDS = 2 ** 31 - 1;
/** An annotation: the container that kubectl means when none is named. */
const DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container";

/**
 * The pod of a replica, as the cluster should create it.
 * @throws CodedError LaunchFailed for buffers that it cannot have, or InvalidInput for a pool or an identity that the cluster no longer has
 */
export function jobPodOf(run: RunRecord, replica: number, settings: PodSettings, nowMs: number): Pod {
  const { codespec, nodePool } = run.job;
  const { installationId, namespace, imagePullSecrets, patience } = settings;
  const needsGpu = wantsGpu(codespec.resources);
  const pools = eligiblePools(settings, nodePool, needsGpu);
  const serviceAccountName = serviceAccountOf(settings, codespec.identity);
  const pump = hasPump(run) ? pumpPartsOf(run, replica, settings) : undefined;
  const leftMs = Date.parse(deadlineOf(run)) + DEADLINE_MARGIN_MS - nowMs;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: podNameOf(run.id, replica),
      namespace,
      labels: { ...jobLabelsOf(installationId, run), [LABEL_REPLICA]: String(replica) },
      annotations: {
        [REPLICA_COUNT]: String(run.replicaCount),
        [CREATED_AT]: run.createdAt,
        ...(pump && { ...pump.annotations, [DEFAULT_CONTAINER]: MAIN }),
      },
      finalizers: [FINALIZER],
    },
    spec: {
      restartPolicy: "Never",
      activeDeadlineSeconds: Math.min(MAX_SECONDS, Math.max(1, Math.ceil(leftMs / 1000))),
      ...placementOf(pools, { needsGpu, unreachableSeconds: patience.unreachableSeconds }),
      ...(serviceAccountName === undefined ? {} : { serviceAccountName }),
      automountServiceAccountToken: serviceAccountName !== undefined,
      // A job gets no variables about whatever other services the namespace has.
      enableServiceLinks: false,
      ...(imagePullSecrets.length > 0 ? { imagePullSecrets: imagePullSecrets.map((name) => ({ name })) } : {}),
      securityContext: { seccompProfile: { type: "RuntimeDefault" } },
      ...(pump && { initContainers: pump.initContainers }),
      // Containers are started in this order, one by one, as their images arrive: the pump's is there already.
      containers: [...(pump?.containers ?? []), mainContainerOf(run, replica, settings)],
      volumes: [...(pump?.volumes ?? []), ...mainVolumesOf(codespec.resources)],
    },
  };
}

/**
 * The Secret of a run's job. It is the fence of its pods: {@link fenceKeyOf}. `tokens` are those of the pumps of all replicas; a
 * job without buffers has none.
 */
export function jobSecretOf(
  run: RunRecord,
  { installationId, namespace }: Pick<PodSettings, "installationId" | "namespace">,
  tokens: readonly string[] = [],
): Secret {
  const fences = indexesOf(run.replicaCount).map((replica) => [fenceKeyOf(replica), base64Of(String(run.id))]);
  const secrets = tokens.map((token, replica) => [tokenKeyOf(replica), base64Of(token)]);
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: jobSecretNameOf(run.id),
      namespace,
      labels: jobLabelsOf(installationId, run),
      annotations: { [REPLICA_COUNT]: String(run.replicaCount) },
    },
    type: "Opaque",
    data: Object.fromEntries([...fences, ...secrets]),
  };
}

const base64Of = (text: string): string => Buffer.from(text).toString("base64");

/** The token of a replica's pump in the Secret of its run. */
export function tokenIn({ data }: Secret, replica: number): string | undefined {
  const token = data?.[tokenKeyOf(replica)];
  return token === undefined ? undefined : Buffer.from(token, "base64").toString();
}
