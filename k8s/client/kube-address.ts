import type { Agent, RequestOptions } from "node:https";
import { Agent as HttpsAgent } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { errnoWordsOf } from "../../model/errno.ts";
import { CodedError, messageOf } from "../../model/errors.ts";

/** Where a cluster is and how we log in to it; without a context, the current one of the file. */
export type ClusterAccess = { inCluster: true } | { kubeconfig: string; context?: string | undefined };

export interface KubeAddress {
  /** As a user reads it. */
  server: string;
  /** Options for one request: address, certificates, and a token that is valid now. @throws CodedError Unavailable */
  options(): Promise<RequestOptions>;
}

/** Finds the API server of a cluster. @throws Error in one sentence when the configuration cannot be used */
export function addressOf(access: ClusterAccess): KubeAddress {
  const config = configOf(access);
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error(`The ${nameOf(access)} names no cluster`);
  if (!URL.canParse(cluster.server))
    throw new Error(`The ${nameOf(access)} has the address '${cluster.server}', which is not a URL`);
  const url = new URL(cluster.server);
  const agents = new AgentCache();

  return {
    server: cluster.server,
    async options() {
      const options: RequestOptions = {};
      try {
        await config.applyToHTTPSOptions(options);
      } catch (err) {
        throw new CodedError(
          "Unavailable",
          `Could not log in to the cluster at '${cluster.server}': ${messageOf(err)}`,
          {
            cause: err,
          },
        );
      }
      return {
        ...options,
        protocol: url.protocol,
        host: url.hostname.replace(/^\[|\]$/g, ""),
        port: url.port,
        path: url.pathname.replace(/\/$/, ""),
        // The library's agents open a connection for each request, and keep certificates that have been renewed.
        ...(cluster.proxyUrl || url.protocol !== "https:" ? {} : { agent: agents.agentFor(options) }),
      };
    },
  };
}

function configOf(access: ClusterAccess): KubeConfig {
  const config = new KubeConfig();
  try {
    if ("inCluster" in access) config.loadFromCluster();
    else config.loadFromFile(access.kubeconfig);
  } catch (err) {
    const reason = errnoWordsOf(err, "reading") ?? messageOf(err);
    throw new Error(`The ${nameOf(access)} cannot be read: ${reason}`, { cause: err });
  }
  if ("inCluster" in access) return config;
  const { context = config.getCurrentContext() } = access;
  if (!context) throw new Error(`The ${nameOf(access)} has no current context; name one of ${contextsOf(config)}`);
  if (!config.getContextObject(context)) {
    throw new Error(`The ${nameOf(access)} has no context '${context}'; it has ${contextsOf(config)}`);
  }
  config.setCurrentContext(context);
  return config;
}

const nameOf = (access: ClusterAccess): string =>
  "inCluster" in access ? "service account of this pod" : `kubeconfig '${access.kubeconfig}'`;

const contextsOf = (config: KubeConfig): string =>
  config
    .getContexts()
    .map(({ name }) => `'${name}'`)
    .join(", ") || "none";

/** The agent of the certificates that are valid now. */
class AgentCache {
  #key = "";
  #agent: Agent | undefined;

  agentFor({ ca, cert, key, rejectUnauthorized, servername }: RequestOptions): Agent {
    const identity = [ca, cert, key, rejectUnauthorized, servername].map(String).join("\n");
    if (!this.#agent || identity !== this.#key) {
      this.#key = identity;
      this.#agent = new HttpsAgent({ keepAlive: true, maxFreeSockets: 16 });
    }
    return this.#agent;
  }
}
