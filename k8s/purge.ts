import { CodedError } from "../model/errors.ts";
import { LABEL_INSTALLATION } from "../model/run/names.ts";
import { eachOf, poll } from "../waiting/bounded.ts";
import type { Kube } from "./client/kube.ts";
import { CLAIM } from "./launch/claim.ts";

const AT_ONCE = 16;
const LOOK_MS = 500;
/** The cluster ends the pods of a namespace one by one. */
const GONE_MS = 120_000;
const GRACE_SECONDS = 2;

/**
 * Ends all jobs of an installation and removes its objects, with their finalizers; then the namespace, if the installation
 * created it. Nothing of another installation is touched.
 * @throws CodedError Conflict for the namespace of another installation, Unavailable
 */
export async function purge(kube: Kube, scope: string): Promise<void> {
  const { namespace } = kube;
  const found = await kube.findNamespace();
  if (!found) return;
  const claim = await kube.findConfigMap(CLAIM);
  const owner = claim?.data?.["installation"];
  if (owner !== undefined && owner !== scope) {
    throw new CodedError(
      "Conflict",
      `The namespace '${namespace}' belongs to the installation '${owner}'; nothing was removed`,
    );
  }
  const isOwn = found.metadata?.labels?.[LABEL_INSTALLATION] === scope;
  const selector = `${LABEL_INSTALLATION}=${scope}`;
  // First the Secrets: a pod that is created late then does not execute.
  await eachOf(await kube.listSecrets(selector), AT_ONCE, (meta) => kube.deleteSecret(meta));
  if (isOwn) await kube.deleteNamespace(found);
  const look = async (): Promise<true | undefined> => {
    const { pods } = await kube.listPods(selector);
    await eachOf(pods, AT_ONCE, async (pod) => {
      await kube.deletePod(pod, GRACE_SECONDS);
      await kube.releasePod(pod);
    });
    const isGone = isOwn ? !(await kube.findNamespace()) : pods.length === 0;
    return isGone ? true : undefined;
  };
  if (!(await poll(look, { everyMs: LOOK_MS, withinMs: GONE_MS }))) {
    throw new CodedError(
      "Unavailable",
      `The namespace '${namespace}' was not gone within ${GONE_MS / 1000} s; try again`,
    );
  }
  if (isOwn) return;
  const maps = await kube.listConfigMaps(selector);
  await eachOf(
    maps.filter(({ name }) => name !== CLAIM),
    AT_ONCE,
    (meta) => kube.deleteConfigMap(meta),
  );
  // The last one: until then, no other installation can begin here.
  if (claim?.metadata) await kube.deleteConfigMap(claim.metadata);
}
