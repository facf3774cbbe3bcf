import { statSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_SOCKET, engineAddressOf, type EngineAddress } from "../../docker/engine/engine-address.ts";
import { EngineRefusal } from "../../docker/engine/engine-call.ts";
import { connectEngine } from "../../docker/engine/engine.ts";
import { errnoWordsOf } from "../../model/errno.ts";
import { CodedError, errnoOf, messageOf } from "../../model/errors.ts";

/**
 * Parses a DOCKER_HOST.
 * @throws Error for an engine that the local stack cannot use.
 */
export function engineAt(host: string): EngineAddress {
  if (/^(?:unix:\/\/|(?:tcp|http):\/\/[^:/]+:[0-9]+\/?$)/.test(host)) return engineAddressOf(host);
  throw new Error(
    `The local stack cannot use the Docker engine at DOCKER_HOST '${host}', because it shares named pipes with its engine: use one on this machine, unix:///path or tcp://host:port`,
  );
}

/** The engines to try in order: only DOCKER_HOST if it is set, otherwise the usual sockets. */
export function engineCandidates(dockerHost: string | undefined, userRuntimeDir: string | undefined): EngineAddress[] {
  if (dockerHost) return [engineAt(dockerHost)];
  const sockets = [DEFAULT_SOCKET, ...(userRuntimeDir ? [join(userRuntimeDir, "docker.sock")] : [])];
  return sockets.filter((socket) => !isMissing(socket)).map((socket) => engineAt(`unix://${socket}`));
}

/** One that cannot be looked at stays a candidate: connecting to it says why. */
function isMissing(socket: string): boolean {
  try {
    return statSync(socket, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

/** Returns why the engine cannot be used, as a clause for the user, or undefined if it answers. */
export async function refusalOf({ host }: Pick<EngineAddress, "host">, timeoutMs = 3000): Promise<string | undefined> {
  try {
    await connectEngine(host).ping(timeoutMs);
    return undefined;
  } catch (err) {
    if (err instanceof EngineRefusal) return `it answers ${err.statusCode}`;
    const cause = err instanceof CodedError ? err.cause : err;
    const words = errnoWordsOf(cause, "connecting") ?? `it does not answer (${messageOf(cause)})`;
    const hint = HINTS[errnoOf(cause) ?? ""];
    return hint ? `${words}; ${hint}` : words;
  }
}

const START_IT = "start the engine, or name another in DOCKER_HOST";
const HINTS: Record<string, string> = {
  EACCES: "join the group of its socket ('sudo usermod -aG docker <you>') and log in again",
  ENOENT: START_IT,
  ECONNREFUSED: START_IT,
};

export const isAnswering = async (engine: EngineAddress): Promise<boolean> => (await refusalOf(engine)) === undefined;
