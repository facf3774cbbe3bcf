import { request, type RequestOptions } from "node:http";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Readable } from "node:stream";
import { errnoOf, messageOf } from "../../model/errors.ts";

/** How a Docker engine is reached, as node:http takes it, and its DOCKER_HOST. */
export interface DockerEngine {
  host: string;
  connection: Pick<RequestOptions, "socketPath" | "host" | "port">;
}

const DEFAULT_SOCKET = "/var/run/docker.sock";

/**
 * The engine that `host` names, in the form of DOCKER_HOST.
 * @throws Error for an engine that the local stack cannot use.
 */
export function engineAt(host: string): DockerEngine {
  if (host.startsWith("unix://")) return { host, connection: { socketPath: host.slice("unix://".length) } };
  const tcp = /^(?:tcp|http):\/\/([^:/]+):([0-9]+)\/?$/.exec(host);
  if (tcp?.[1] && tcp[2]) return { host, connection: { host: tcp[1], port: Number(tcp[2]) } };
  throw new Error(
    `The Docker engine at DOCKER_HOST '${host}' cannot serve the local stack, which shares named pipes with it: use an engine on this machine, unix:///path or tcp://host:port`,
  );
}

/** The engines to try, the first that answers serves: DOCKER_HOST alone where it is set, else the usual sockets. */
export function engineCandidates(dockerHost: string | undefined, userRuntimeDir: string | undefined): DockerEngine[] {
  if (dockerHost) return [engineAt(dockerHost)];
  const sockets = [DEFAULT_SOCKET, ...(userRuntimeDir ? [join(userRuntimeDir, "docker.sock")] : [])];
  return sockets.filter((socket) => existsSync(socket)).map((socket) => engineAt(`unix://${socket}`));
}

/** Why the engine cannot be used, in words for the user; undefined when it answers. */
export async function refusalOf(engine: DockerEngine, timeoutMs = 3000): Promise<string | undefined> {
  try {
    const { status } = await ask(engine, "GET", "/_ping", { timeoutMs });
    return status === 200 ? undefined : `it answers ${status}`;
  } catch (err) {
    const errno = errnoOf(err) ?? "";
    return REFUSALS[errno] ?? `it does not answer (${messageOf(err)})`;
  }
}

const REFUSALS: Record<string, string> = {
  EACCES: "you may not use its socket; join its group ('sudo usermod -aG docker <you>') and log in again",
  ENOENT: "there is no such socket; start the engine, or name another in DOCKER_HOST",
  ECONNREFUSED: "nothing listens there; start the engine, or name another in DOCKER_HOST",
  ENOTFOUND: "there is no such host",
};

export const isAnswering = async (engine: DockerEngine): Promise<boolean> => (await refusalOf(engine)) === undefined;

export interface Answer {
  status: number;
  text: string;
}

/** One request of the Engine API. */
export function ask(
  engine: DockerEngine,
  method: "GET" | "POST" | "DELETE",
  path: string,
  { body, timeoutMs = 30_000 }: { body?: unknown; timeoutMs?: number } = {},
): Promise<Answer> {
  const json = body === undefined || isStream(body) ? undefined : JSON.stringify(body);
  const type = isStream(body) ? "application/x-tar" : "application/json";
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-type": type };
    const options = { ...engine.connection, method, path, headers, signal: AbortSignal.timeout(timeoutMs) };
    const sent = request(options, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => (text += chunk));
      answer.once("error", reject);
      answer.once("end", () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    sent.once("error", reject);
    if (isStream(body)) body.once("error", reject).pipe(sent);
    else sent.end(json);
  });
}

/**
 * As `ask`, for a request that has to succeed.
 * @throws Error with the engine's own words.
 */
export async function mustAsk(...request: Parameters<typeof ask>): Promise<string> {
  const { status, text } = await ask(...request);
  if (status < 400) return text;
  throw new Error(`The Docker engine answered ${status}: ${messageIn(text)}`);
}

const failure = z.object({ message: z.string() });

function messageIn(text: string): string {
  try {
    return failure.parse(JSON.parse(text)).message;
  } catch (err) {
    return text.trim() || messageOf(err);
  }
}

const isStream = (body: unknown): body is Readable =>
  typeof body === "object" && body !== null && "pipe" in body && typeof body.pipe === "function";
