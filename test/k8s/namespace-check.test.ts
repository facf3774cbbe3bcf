import { expect, test } from "vitest";
import { KubeRefusal, type Call, type Caller } from "../../k8s/client/kube-call.ts";
import { problemOf } from "../../k8s/namespace-check.ts";

interface Cluster {
  /** Those that exist. */
  namespaces: string[];
  /** `verb resource` that the user can not do. */
  refused?: string[];
  failure?: KubeRefusal;
}

function callerOf({ namespaces, refused = [], failure }: Cluster): Caller {
  const answer = ({ path, body }: Call): unknown => {
    if (failure) throw failure;
    const name = /^\/api\/v1\/namespaces\/(.*)$/.exec(path)?.[1];
    if (name !== undefined) {
      if (!namespaces.includes(name)) throw new KubeRefusal(404, "NotFound", "not found");
      return {};
    }
    const { spec } = body as { spec: { resourceAttributes: Record<string, string> } };
    const { verb, resource, subresource } = spec.resourceAttributes;
    const asked = `${verb} ${resource}${subresource === undefined ? "" : `/${subresource}`}`;
    return { status: { allowed: !refused.includes(asked) } };
  };
  return {
    server: "https://near",
    ask: async <T>(call: Call) => answer(call) as T,
    open: () => Promise.reject(new Error("not expected")),
    unavailable: () => {
      throw new Error("not expected");
    },
  };
}

test.each<[string, Cluster, string | undefined, boolean, string | undefined]>([
  ["a namespace that exists", { namespaces: ["jobs"] }, "jobs", false, undefined],
  ["our own namespace before it is created", { namespaces: [] }, "tyger-a", true, undefined],
  ["an installation that has no database yet", { namespaces: [] }, undefined, true, undefined],
  [
    "a namespace that does not exist",
    { namespaces: [] },
    "jobs",
    false,
    "The namespace 'jobs' does not exist in the cluster at 'https://near'; create it with 'kubectl create namespace jobs', or name none",
  ],
  [
    "a user who cannot create namespaces",
    { namespaces: [], refused: ["create namespaces"] },
    "tyger-a",
    true,
    "You do not have permission to create a namespace in the cluster at 'https://near'; name an existing one with --namespace",
  ],
  [
    "a user who cannot create namespaces, in one that exists",
    { namespaces: ["tyger-a"], refused: ["create namespaces"] },
    "tyger-a",
    true,
    undefined,
  ],
  [
    "a user who lacks permissions",
    { namespaces: ["jobs"], refused: ["create pods", "get pods/log"] },
    "jobs",
    false,
    "You do not have permission to create pods, get pods/log in the namespace 'jobs' of the cluster at 'https://near'",
  ],
  [
    "a token that has expired",
    { namespaces: [], failure: new KubeRefusal(401, "Unauthorized", "Unauthorized") },
    "jobs",
    false,
    "The cluster at 'https://near' does not accept the credentials of the kubeconfig: Unauthorized",
  ],
])("%s", async (_name, cluster, namespace, isOwn, problem) => {
  expect(await problemOf(callerOf(cluster), { namespace, isOwn })).toBe(problem);
});
