import { KubeRefusal, type Caller } from "./client/kube-call.ts";

/** The calls that workers and the API make, by resource. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  pods: ["create", "get", "list", "watch", "patch", "delete"],
  "pods/log": ["get"],
  secrets: ["create", "get", "list", "patch", "delete"],
  configmaps: ["create", "get", "list", "delete"],
};

export interface NamespaceCheck {
  /** Undefined before the database of the installation was created. */
  namespace: string | undefined;
  /** It is created when it does not exist: its name is ours. */
  isOwn: boolean;
}

/**
 * Why jobs cannot run in a namespace, in one sentence; undefined when they can.
 * @throws CodedError Unavailable
 */
export async function problemOf(caller: Caller, { namespace, isOwn }: NamespaceCheck): Promise<string | undefined> {
  const { server } = caller;
  try {
    const exists = namespace !== undefined && (await hasNamespace(caller, namespace));
    if (!exists && !isOwn) {
      const advice = `create it with 'kubectl create namespace ${namespace}', or name none`;
      return `The namespace '${namespace}' does not exist in the cluster at '${server}'; ${advice}`;
    }
    if (!exists && !(await isAllowed(caller, { resource: "namespaces", verb: "create" }))) {
      return `You do not have permission to create a namespace in the cluster at '${server}'; name an existing one with --namespace`;
    }
    // A user who can create namespaces has the same permissions in each of them.
    const where = namespace ?? "tyger-new";
    const asked = Object.entries(NEEDED).flatMap(([resource, verbs]) => verbs.map((verb) => ({ resource, verb })));
    const answers = await Promise.all(asked.map((one) => isAllowed(caller, { ...one, namespace: where })));
    const refused = asked.filter((_, at) => !answers[at]).map(({ resource, verb }) => `${verb} ${resource}`);
    if (refused.length === 0) return undefined;
    const place = namespace === undefined ? "the cluster" : `the namespace '${namespace}' of the cluster`;
    return `You do not have permission to ${refused.join(", ")} in ${place} at '${server}'`;
  } catch (err) {
    if (!(err instanceof KubeRefusal)) throw err;
    if (err.statusCode === 401) {
      return `The cluster at '${server}' does not accept the credentials of the kubeconfig: ${err.message}`;
    }
    return `The cluster at '${server}' refuses to be asked: ${err.message}`;
  }
}

/** True also when it cannot be known: the permissions in it are asked for next. */
async function hasNamespace({ ask }: Caller, name: string): Promise<boolean> {
  try {
    await ask({ method: "GET", path: `/api/v1/namespaces/${encodeURIComponent(name)}` });
    return true;
  } catch (err) {
    if (err instanceof KubeRefusal && err.statusCode === 404) return false;
    if (err instanceof KubeRefusal && err.statusCode === 403) return true;
    throw err;
  }
}

interface Asked {
  resource: string;
  verb: string;
  namespace?: string;
}

async function isAllowed({ ask }: Caller, { resource: full, ...more }: Asked): Promise<boolean> {
  const [resource, subresource] = full.split("/");
  const resourceAttributes = { resource, ...(subresource === undefined ? {} : { subresource }), ...more };
  const { status } = await ask<{ status?: { allowed?: boolean } }>({
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectAccessReview",
      spec: { resourceAttributes },
    },
  });
  return status?.allowed === true;
}
