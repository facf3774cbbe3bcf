import { CodedError } from "../../model/errors.ts";
import { LABEL_INSTALLATION } from "../../model/run/names.ts";
import { KubeRefusal } from "../client/kube-call.ts";
import { isRefused, type Kube } from "../client/kube.ts";
import type { ConfigMap } from "../spec/wire.ts";

/** The ConfigMap that says whose a namespace is. */
export const CLAIM = "tyger-installation";

export interface NamespaceClaimPorts {
  kube: Kube;
  /** As the cluster's objects are labeled. */
  installationId: string;
  /** The namespace is created when it does not exist: its name is ours. */
  isOwn: boolean;
}

/**
 * Takes the namespace for this installation before anything is created in it: of several, the first one has it. Asked again
 * until it is known. @throws CodedError LaunchFailed when it is another installation's or cannot be used, Unavailable
 */
export function createNamespaceClaim(ports: NamespaceClaimPorts): () => Promise<void> {
  let claimed: Promise<void> | undefined;
  return () =>
    (claimed ??= claim(ports).catch((err: unknown) => {
      claimed = undefined;
      throw err;
    }));
}

async function claim({ kube, installationId, isOwn }: NamespaceClaimPorts): Promise<void> {
  const { namespace } = kube;
  const labels = { [LABEL_INSTALLATION]: installationId };
  const mine: ConfigMap = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: CLAIM, namespace, labels },
    // Only the creation decides whose it is.
    immutable: true,
    data: { installation: installationId },
  };
  const create = async (): Promise<boolean> => {
    try {
      return await kube.createConfigMap(mine);
    } catch (err) {
      if (!isOwn || !isRefused(err, 404)) throw err;
      await kube.createNamespace({ ...labels, "pod-security.kubernetes.io/enforce": "baseline" });
      return kube.createConfigMap(mine);
    }
  };
  try {
    if (await create()) return;
    const owner = (await kube.findConfigMap(CLAIM))?.data?.["installation"];
    if (owner === installationId) return;
    throw new CodedError(
      "LaunchFailed",
      `The namespace '${namespace}' belongs to the installation '${owner}', as its ConfigMap '${CLAIM}' says; this is '${installationId}'`,
    );
  } catch (err) {
    if (!(err instanceof KubeRefusal)) throw err;
    const code = isRefused(err, 401) ? "Unavailable" : "LaunchFailed";
    throw new CodedError(code, `The namespace '${namespace}' cannot be used: ${err.message}`, { cause: err });
  }
}
