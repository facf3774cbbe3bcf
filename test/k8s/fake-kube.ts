import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { createCaller } from "../../k8s/client/kube-call.ts";
import { kubeOf, type Kube } from "../../k8s/client/kube.ts";
import { createServerClock } from "../../k8s/client/server-clock.ts";
import type { ConfigMap, ObjectMeta, Pod } from "../../k8s/spec/wire.ts";

/** An API server that knows pods, Secrets and ConfigMaps of one namespace, and lets tests break what it answers. */
export interface FakeKube {
  kube: Kube;
  pods: Map<string, Pod>;
  secrets: ObjectMeta[];
  /** By name. */
  configMaps: Map<string, ConfigMap>;
  /** The paths with their queries that were asked for, except watches. */
  asked: string[];
  /** The versions from which a watch was opened, in order. */
  watchedFrom: string[];
  /** Answers instead of the server, if it returns true. */
  intercept: (req: IncomingMessage, res: ServerResponse) => boolean;
  /** Stores the pod with a new version, and sends it to the watches. */
  change(pod: Pod): void;
  /** Removes the pod, and tells the watches. */
  drop(name: string): void;
  /** Sends a line as it is to the open watches. */
  sendLine(line: string): void;
  /** Ends the open watches as a server does; `abruptly` as a connection that breaks. */
  endWatches(abruptly?: boolean): void;
  openWatches(): number;
  close(): Promise<void>;
}

export async function startFakeKube(): Promise<FakeKube> {
  const pods = new Map<string, Pod>();
  const secrets: ObjectMeta[] = [];
  const configMaps = new Map<string, ConfigMap>();
  const watches = new Set<ServerResponse>();
  const asked: string[] = [];
  const watchedFrom: string[] = [];
  let version = 100;

  const sendJson = (res: ServerResponse, status: number, body: object): void => {
    res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  const refusal = (reason: string): object => ({ kind: "Status", reason, message: reason });
  const answerConfigMap = async (
    req: IncomingMessage,
    res: ServerResponse,
    name: string | undefined,
  ): Promise<void> => {
    if (req.method === "POST") {
      const map = (await json(req)) as ConfigMap;
      const { name: made = "" } = map.metadata ?? {};
      if (configMaps.has(made)) return sendJson(res, 409, refusal("AlreadyExists"));
      configMaps.set(made, map);
      return sendJson(res, 201, map);
    }
    if (name === undefined) return sendJson(res, 200, { items: [...configMaps.values()], metadata: {} });
    const map = configMaps.get(name);
    if (req.method === "DELETE") configMaps.delete(name);
    sendJson(res, map ? 200 : 404, map ?? refusal("NotFound"));
  };
  const server = createServer((req, res) => {
    const url = new URL(req.url ?? "/", "http://kube");
    const name = url.pathname.split("/")[6];
    if (url.searchParams.get("watch") !== "true") asked.push(`${req.method} ${url.pathname}${url.search}`);
    if (fake.intercept(req, res)) return;
    if (url.pathname.split("/")[5] === "configmaps") return void answerConfigMap(req, res, name);
    if (url.searchParams.get("watch") === "true") {
      watchedFrom.push(url.searchParams.get("resourceVersion") ?? "");
      res.writeHead(200, { "content-type": "application/json" }).flushHeaders();
      watches.add(res);
      res.on("close", () => watches.delete(res));
    } else if (name === undefined) {
      const isPods = url.pathname.endsWith("/pods");
      const items = isPods ? [...pods.values()] : secrets.map((metadata) => ({ metadata }));
      sendJson(res, 200, { items, metadata: { resourceVersion: String(version) } });
    } else {
      const pod = pods.get(name);
      const missing = { kind: "Status", reason: "NotFound", message: `pods "${name}" not found` };
      sendJson(res, pod ? 200 : 404, pod ?? missing);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const clock = createServerClock();
  const address = {
    server: `http://127.0.0.1:${port}`,
    options: async () => ({ protocol: "http:", host: "127.0.0.1", port, path: "" }),
  };

  const send = (type: string, object: object): void => fake.sendLine(JSON.stringify({ type, object }));
  const fake: FakeKube = {
    kube: kubeOf(createCaller(address, clock), "jobs", clock),
    pods,
    secrets,
    configMaps,
    asked,
    watchedFrom,
    intercept: () => false,
    change(pod) {
      version += 1;
      const changed = { ...pod, metadata: { ...pod.metadata, resourceVersion: String(version) } };
      pods.set(pod.metadata?.name ?? "", changed);
      send("MODIFIED", changed);
    },
    drop(name) {
      const pod = pods.get(name);
      if (!pod) return;
      version += 1;
      pods.delete(name);
      send("DELETED", { ...pod, metadata: { ...pod.metadata, resourceVersion: String(version) } });
    },
    sendLine: (line) => {
      for (const watch of watches) watch.write(`${line}\n`);
    },
    endWatches: (abruptly = false) => {
      for (const watch of watches) {
        if (abruptly) watch.destroy();
        else watch.end();
      }
    },
    openWatches: () => watches.size,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fake;
}
