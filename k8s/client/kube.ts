import type { IncomingMessage } from "node:http";
import { CodedError } from "../../model/errors.ts";
import { FINALIZER } from "../spec/names.ts";
import type { ConfigMap, ObjectMeta, Pod, Secret } from "../spec/wire.ts";
import { addressOf, type ClusterAccess } from "./kube-address.ts";
import { createCaller, KubeRefusal, type Caller } from "./kube-call.ts";
import { createServerClock, type ServerClock } from "./server-clock.ts";

export interface LogOptions {
  container: string;
  follow: boolean;
  /** The last N lines, as the node counts them: pieces of long ones. */
  tailLines?: number | undefined;
  /** RFC 3339; the cluster cuts it to seconds. Lines of this second are included. */
  sinceTime?: string | undefined;
}

export interface PodList {
  pods: Pod[];
  /** Where a watch continues after this list. */
  resourceVersion: string;
}

/** The calls to one namespace of a cluster. @throws CodedError Unavailable, KubeRefusal */
export interface Kube {
  server: string;
  namespace: string;
  clock: ServerClock;
  /** The error of a connection that failed while an answer was read. */
  unavailable(cause: unknown): CodedError;
  /** The pod that was created; undefined when one of this name was there. */
  createPod(pod: Pod): Promise<Pod | undefined>;
  findPod(name: string): Promise<Pod | undefined>;
  listPods(selector: string): Promise<PodList>;
  /** The changes of pods, as JSON lines. */
  watchPods(selector: string, resourceVersion: string, signal: AbortSignal): Promise<IncomingMessage>;
  /** A pod that is gone, or that is another one by now, counts as deleted. */
  deletePod(pod: Pod, graceSeconds: number): Promise<void>;
  /** Lets a deleted pod go: its exit is recorded, or does not count. */
  releasePod(pod: Pod): Promise<void>;
  podLog(name: string, options: LogOptions, signal: AbortSignal): Promise<IncomingMessage>;
  /** False when one of this name was there. */
  createSecret(secret: Secret): Promise<boolean>;
  findSecret(name: string): Promise<Secret | undefined>;
  /** Takes a key out of a Secret; one that is not there is harmless. */
  dropSecretKey(name: string, key: string): Promise<void>;
  deleteSecret(meta: ObjectMeta): Promise<void>;
  /** The names and labels of Secrets, without their contents. */
  listSecrets(selector: string): Promise<ObjectMeta[]>;
  /** False when one of this name was there. */
  createConfigMap(map: ConfigMap): Promise<boolean>;
  findConfigMap(name: string): Promise<ConfigMap | undefined>;
  deleteConfigMap(meta: ObjectMeta): Promise<void>;
  /** Creates the namespace itself; false when it was there. */
  createNamespace(labels: Readonly<Record<string, string>>): Promise<boolean>;
  hasConfigMap(name: string): Promise<boolean>;
  /** As {@link Kube.listSecrets}. */
  listConfigMaps(selector: string): Promise<ObjectMeta[]>;
  findNamespace(): Promise<{ metadata?: ObjectMeta } | undefined>;
  /** Its objects are removed with it, later. */
  deleteNamespace(found: { metadata?: ObjectMeta }): Promise<void>;
}

const PAGE = 500;
/** The server ends a watch after this; the next one continues it. */
const WATCH_SECONDS = 300;
const META_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
const META = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const MERGE_PATCH = "application/merge-patch+json";
const JSON_PATCH = "application/json-patch+json";
/** Another program can have changed the finalizers in between. */
const RELEASE_TRIES = 5;

export function connectKube(access: ClusterAccess, namespace: string): Kube {
  const clock = createServerClock();
  const caller = createCaller(addressOf(access), clock);
  return kubeOf(caller, namespace, clock);
}

type Kind = "pods" | "secrets" | "configmaps";

interface ListAnswer {
  items?: object[];
  metadata?: { continue?: string; resourceVersion?: string };
}

/** The calls to a namespace over a caller. */
export function kubeOf(caller: Caller, namespace: string, clock: ServerClock): Kube {
  const { ask, open, server } = caller;
  const base = `/api/v1/namespaces/${encodeURIComponent(namespace)}`;
  const pathOf = (kind: Kind, name: string): string => `${base}/${kind}/${encodeURIComponent(name)}`;

  /** Undefined when the cluster has no object of this name. A 404 about anything else, such as a path, says nothing about it. */
  const orNone = async <T>(answer: Promise<T>): Promise<T | undefined> => {
    try {
      return await answer;
    } catch (err) {
      if (!isRefused(err, 404)) throw err;
      if (err.reason !== "NotFound") throw caller.unavailable(err);
      return undefined;
    }
  };

  /** Creates an object; false when one of its name was there. */
  const isCreated = async (path: string, body: object): Promise<boolean> => {
    try {
      await ask({ method: "POST", path, body });
      return true;
    } catch (err) {
      if (isRefused(err, 409) && err.reason === "AlreadyExists") return false;
      throw err;
    }
  };

  /** All pages of one list. */
  const listAll = async (kind: Kind, labelSelector: string, accept?: string) => {
    const items: object[] = [];
    let resourceVersion = "";
    let next: string | undefined;
    do {
      const query = { labelSelector, limit: PAGE, continue: next };
      const page = await ask<ListAnswer>({
        method: "GET",
        path: `${base}/${kind}`,
        query,
        ...(accept === undefined ? {} : { accept }),
      });
      for (const item of page.items ?? []) items.push(item);
      resourceVersion = page.metadata?.resourceVersion ?? resourceVersion;
      next = page.metadata?.continue || undefined;
    } while (next !== undefined);
    return { items, resourceVersion };
  };

  const remove = async (path: string, { uid }: ObjectMeta, gracePeriodSeconds?: number): Promise<void> => {
    const body = {
      kind: "DeleteOptions",
      apiVersion: "v1",
      ...(uid === undefined ? {} : { preconditions: { uid } }),
      ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    };
    try {
      await orNone(ask({ method: "DELETE", path, body }));
    } catch (err) {
      // It is another object by now.
      if (!isRefused(err, 409)) throw err;
    }
  };

  const listMeta = async (kind: Kind, selector: string): Promise<ObjectMeta[]> => {
    const { items } = await listAll(kind, selector, META_LIST);
    return (items as Secret[]).map(({ metadata = {} }) => metadata);
  };

  const findPod = (name: string): Promise<Pod | undefined> =>
    orNone(ask<Pod>({ method: "GET", path: pathOf("pods", name) }));

  return {
    server,
    namespace,
    clock,
    unavailable: caller.unavailable,

    async createPod(pod) {
      try {
        return await ask<Pod>({ method: "POST", path: `${base}/pods`, body: pod });
      } catch (err) {
        if (isRefused(err, 409) && err.reason === "AlreadyExists") return undefined;
        throw err;
      }
    },

    findPod,

    async listPods(selector) {
      const { items, resourceVersion } = await listAll("pods", selector);
      return { pods: items, resourceVersion };
    },

    watchPods: (labelSelector, resourceVersion, signal) => {
      const query = {
        labelSelector,
        resourceVersion,
        watch: true,
        allowWatchBookmarks: true,
        timeoutSeconds: WATCH_SECONDS,
      };
      return open({ method: "GET", path: `${base}/pods`, query }, signal);
    },

    deletePod: (pod, graceSeconds) =>
      remove(pathOf("pods", pod.metadata?.name ?? ""), pod.metadata ?? {}, graceSeconds),

    async releasePod({ metadata = {} }) {
      const name = metadata.name ?? "";
      for (let attempt = 1; attempt <= RELEASE_TRIES; attempt++) {
        const pod = await findPod(name);
        const index = pod?.metadata?.finalizers?.indexOf(FINALIZER) ?? -1;
        if (pod?.metadata?.uid !== metadata.uid || index < 0) return;
        const at = `/metadata/finalizers/${index}`;
        const body = [
          { op: "test", path: "/metadata/uid", value: metadata.uid },
          { op: "test", path: at, value: FINALIZER },
          { op: "remove", path: at },
        ];
        try {
          await orNone(ask({ method: "PATCH", path: pathOf("pods", name), body, contentType: JSON_PATCH }));
          return;
        } catch (err) {
          // A test of the patch failed, or the pod changed while it was applied: it is looked at again.
          if (!isRefused(err, 409) && !isRefused(err, 422)) throw err;
        }
      }
      throw new CodedError("Unavailable", `The pod '${name}' keeps changing; its finalizer could not be removed`);
    },

    podLog: (name, { container, follow, tailLines, sinceTime }, signal) =>
      open(
        {
          method: "GET",
          path: `${pathOf("pods", name)}/log`,
          query: { container, follow, timestamps: true, tailLines, sinceTime },
          accept: "*/*",
        },
        signal,
      ),

    createSecret: (secret) => isCreated(`${base}/secrets`, secret),

    findSecret: (name) => orNone(ask<Secret>({ method: "GET", path: pathOf("secrets", name) })),

    async dropSecretKey(name, key) {
      const body = { data: { [key]: null } };
      await orNone(ask({ method: "PATCH", path: pathOf("secrets", name), body, contentType: MERGE_PATCH }));
    },

    deleteSecret: (meta) => remove(pathOf("secrets", meta.name ?? ""), meta),

    listSecrets: (selector) => listMeta("secrets", selector),

    createConfigMap: (map) => isCreated(`${base}/configmaps`, map),

    findConfigMap: (name) => orNone(ask<ConfigMap>({ method: "GET", path: pathOf("configmaps", name) })),

    hasConfigMap: async (name) =>
      (await orNone(ask({ method: "GET", path: pathOf("configmaps", name), accept: META }))) !== undefined,

    deleteConfigMap: (meta) => remove(pathOf("configmaps", meta.name ?? ""), meta),

    listConfigMaps: (selector) => listMeta("configmaps", selector),

    findNamespace: () => orNone(ask<{ metadata?: ObjectMeta }>({ method: "GET", path: base })),

    deleteNamespace: ({ metadata = {} }) => remove(base, metadata),

    createNamespace: (labels) =>
      isCreated("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } }),
  };
}

export const isRefused = (err: unknown, statusCode: number): err is KubeRefusal =>
  err instanceof KubeRefusal && err.statusCode === statusCode;

/** Whether the namespace is so new that it has no service account yet, without which it can have no pods. */
export const lacksServiceAccount = (err: unknown): boolean =>
  isRefused(err, 403) && /service ?account .*not found/i.test(err.message);
