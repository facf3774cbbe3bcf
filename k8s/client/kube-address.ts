import type { Agent, RequestOptions } from "node:https";
import { Agent as HttpsAgent } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { CodedError, messageOf } from "../../model/errors.ts";

/** Where a cluster is and how we log in to it. */
export type ClusterAccess =
  | { inCluster: true }
  /** Without a file, the user's own configuration. */
  | { inCluster?: false; kubeconfig?: string | undefined; context?: string | undefined };

export interface KubeAddress {
  /** As a user reads it. */
  server: string;
  /** Options for one request: address, certificates, and a token that is valid now. @throws CodedError Unavailable */
  options(): Promise<RequestOptions>;
}

/** Finds the API server of a cluster. @throws Error when the configuration cannot be used */
export function addressOf(access: ClusterAccess): KubeAddress {
  const config = new KubeConfig();
  if (access.inCluster) {
    config.loadFromCluster();
  } else {
    if (access.kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(access.kubeconfig);
    if (access.context !== undefined) {
      if (!config.getContextObject(access.context)) {
        throw new Error(`The kubeconfig has no context '${access.context}'`);
      }
      config.setCurrentContext(access.context);
    }
  }
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error("The kubeconfig names no cluster");
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
