import { deadlineOf, type RunRecord } from "../../model/run/run.ts";
import type { PodSettings } from "./cluster-settings.ts";
import { checkBuffers } from "./job-checks.ts";
import { mainContainerOf, mainVolumesOf } from "./main-container.ts";
import {
  CREATED_AT,
  fenceKeyOf,
  FINALIZER,
  jobLabelsOf,
  jobSecretNameOf,
  LABEL_REPLICA,
  podNameOf,
  REPLICA_COUNT,
} from "./names.ts";
import { eligiblePools, placementOf, serviceAccountOf, wantsGpu } from "./placement.ts";
import type { Pod, Secret } from "./wire.ts";

/** The cluster ends a pod this long after its run's deadline: for the time in which none of us is there to do it. */
const DEADLINE_MARGIN_MS = 300_000;
const MAX_SECONDS = 2 ** 31 - 1;

/**
 * The pod of a replica, as the cluster should create it.
 * @throws CodedError InvalidInput for a pool or an identity that the cluster no longer has
 */
export function jobPodOf(run: RunRecord, replica: number, settings: PodSettings, nowMs: number): Pod {
  const { codespec, nodePool } = run.job;
  checkBuffers(codespec);
  const { installationId, namespace, imagePullSecrets, patience } = settings;
  const needsGpu = wantsGpu(codespec.resources);
  const pools = eligiblePools(settings, nodePool, needsGpu);
  const serviceAccountName = serviceAccountOf(settings, codespec.identity);
  const leftMs = Date.parse(deadlineOf(run)) + DEADLINE_MARGIN_MS - nowMs;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: podNameOf(run.id, replica),
      namespace,
      labels: { ...jobLabelsOf(installationId, run), [LABEL_REPLICA]: String(replica) },
      annotations: { [REPLICA_COUNT]: String(run.replicaCount), [CREATED_AT]: run.createdAt },
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
      containers: [mainContainerOf(run, replica, settings)],
      volumes: mainVolumesOf(codespec.resources),
    },
  };
}

/** The Secret of a run's job. It is the fence of its pods: {@link fenceKeyOf}. */
export function jobSecretOf(
  run: RunRecord,
  { installationId, namespace }: Pick<PodSettings, "installationId" | "namespace">,
): Secret {
  const id = Buffer.from(String(run.id)).toString("base64");
  const replicas = Array.from({ length: run.replicaCount }, (_, replica) => [fenceKeyOf(replica), id]);
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
    data: Object.fromEntries(replicas),
  };
}
