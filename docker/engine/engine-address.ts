import type { RequestOptions } from "node:http";
import { CodedError } from "../../model/errors.ts";

/** Where an engine listens: as written in `DOCKER_HOST`, for errors, and as options of Node's HTTP client. */
export interface EngineAddress {
  host: string;
  isTls: boolean;
  connection: Pick<RequestOptions, "socketPath" | "host" | "port">;
}

export const DEFAULT_SOCKET = "/var/run/docker.sock";
const TLS_PORT = 2376;
const PLAIN_PORT = 2375;

/**
 * The engine at `dockerHost` (`unix://`, `tcp://`, `http://` or `https://`); without one, the engine at the usual socket.
 * @throws CodedError InvalidInput
 */
export function engineAddressOf(dockerHost = `unix://${DEFAULT_SOCKET}`): EngineAddress {
  if (dockerHost.startsWith("unix://")) {
    return { host: dockerHost, isTls: false, connection: { socketPath: dockerHost.slice("unix://".length) } };
  }
  const url = URL.parse(dockerHost);
  if (!url || !["tcp:", "http:", "https:"].includes(url.protocol) || url.hostname === "") {
    throw new CodedError("InvalidInput", `DOCKER_HOST '${dockerHost}' is neither unix://PATH nor tcp://HOST:PORT`);
  }
  const isTls = url.protocol === "https:";
  // Not from the URL, which drops the default port of HTTP.
  const port = Number(/:(\d+)\/?$/.exec(dockerHost)?.[1] ?? (isTls ? TLS_PORT : PLAIN_PORT));
  return { host: dockerHost, isTls, connection: { host: url.hostname.replace(/^\[|\]$/g, ""), port } };
}
