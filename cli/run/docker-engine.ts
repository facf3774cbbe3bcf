import { type IncomingMessage, request as httpRequest } from "node:http";

const DEFAULT_SOCKET = "/var/run/docker.sock";

/** Asks the Docker engine that `DOCKER_HOST` names, over its HTTP interface. @throws Error */
export function askDocker(
  dockerHost: string | undefined,
  method: "GET" | "POST",
  path: string,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ ...engineOf(dockerHost), method, path });
    request.on("response", resolve);
    request.on("error", (cause) => {
      reject(new Error(`cannot reach the Docker engine: ${cause.message}`, { cause }));
    });
    request.end();
  });
}

function engineOf(dockerHost: string | undefined): { socketPath: string } | { host: string; port: string } {
  if (dockerHost === undefined) return { socketPath: DEFAULT_SOCKET };
  const { scheme, place = "" } = /^(?<scheme>unix|tcp|http):\/\/(?<place>.+)$/.exec(dockerHost)?.groups ?? {};
  if (scheme === "unix") return { socketPath: place };
  if (scheme === undefined) throw new Error(`DOCKER_HOST '${dockerHost}' is neither unix://PATH nor tcp://HOST:PORT`);
  const { hostname, port } = new URL(`http://${place}`);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: port || "2375" };
}
