import { Agent } from "node:http";
import type { IncomingMessage } from "node:http";
import { inspect } from "node:util";
import Dockerode from "dockerode";
import { CodedError } from "../../model/errors.ts";
import { createCaller, EngineRefusal } from "./engine-call.ts";

export type ContainerInfo = Dockerode.ContainerInspectInfo;
export type CreateOptions = Omit<Dockerode.ContainerCreateOptions, "name" | "abortSignal">;
export type LabelFilter = Record<string, string>;

export interface LogStreamOptions {
  follow: boolean;
  /** The last N entries, not lines. */
  tail?: number;
  /** RFC 3339 with nine digits; entries of this instant are included. */
  since?: string;
}

/** The calls that we make to a Docker engine; each has a deadline. @throws CodedError Unavailable, EngineRefusal */
export interface Engine {
  /** By name or id; undefined when there is none. */
  inspect(container: string): Promise<ContainerInfo | undefined>;
  /** Gives the id. */
  create(name: string, options: CreateOptions): Promise<string>;
  start(id: string): Promise<void>;
  /** The stop signal, then SIGKILL after the grace; resolves when the container is down, or gone. */
  stop(id: string, graceSeconds: number): Promise<void>;
  /** A container that is gone counts as removed. Without `force` a running one is refused (409). */
  remove(id: string, options: { force: boolean }): Promise<void>;
  /** Containers in any state that have all these labels. */
  list(labels: LabelFilter): Promise<Dockerode.ContainerInfo[]>;
  /** Start, end and removal of containers with these labels from this moment on, as JSON lines. */
  events(labels: LabelFilter, signal: AbortSignal): Promise<IncomingMessage>;
  /** Output and error as the engine frames them, with timestamps. */
  logs(id: string, options: LogStreamOptions, signal: AbortSignal): Promise<IncomingMessage>;
  hasImage(image: string): Promise<boolean>;
  /** Whether containers can be given GPUs, and what runs those that ask for none. */
  gpu(): Promise<{ available: boolean; runtimeWithout?: string }>;
}

const QUICK_MS = 30_000;
const SLOW_MS = 90_000;

/**
 * The client describes each call for its debug log in full depth, also when nobody reads that. An agent leads to every
 * open connection: with a hundred followed logs each call would hold up the process for hundreds of milliseconds.
 */
class TerseAgent extends Agent {
  [inspect.custom](): string {
    return "Agent";
  }
}

/** The engine of `dockerHost` (`unix://` or `tcp://`), or the one of this machine. Connects with the first call. */
export function connectEngine(dockerHost?: string): Engine {
  // No kept connections: a stale one would make a call fail that must not be repeated.
  const connection = { ...addressOf(dockerHost), agent: new TerseAgent({ keepAlive: false }) };
  const docker = new Dockerode(connection);
  const { ask, open } = createCaller(docker, dockerHost ?? "/var/run/docker.sock");
  const containerPath = (container: string): string => `/containers/${encodeURIComponent(container)}`;
  const filtersOf = (labels: LabelFilter): string[] =>
    Object.entries(labels).map(([name, value]) => `${name}=${value}`);

  return {
    inspect: (container) =>
      orMissing(ask<ContainerInfo>({ method: "GET", path: `${containerPath(container)}/json`, withinMs: QUICK_MS })),

    async create(name, options) {
      const created = await ask<{ Id: string }>({
        method: "POST",
        path: "/containers/create",
        query: { name },
        body: options,
        withinMs: SLOW_MS,
      });
      return created.Id;
    },

    async start(id) {
      await ask({ method: "POST", path: `${containerPath(id)}/start`, withinMs: SLOW_MS });
    },

    async stop(id, graceSeconds) {
      const withinMs = SLOW_MS + graceSeconds * 1000;
      const call = { method: "POST", path: `${containerPath(id)}/stop`, query: { t: graceSeconds }, withinMs } as const;
      await orMissing(ask(call));
    },

    async remove(id, { force }) {
      const call = { method: "DELETE", path: containerPath(id), query: { force, v: true }, withinMs: SLOW_MS } as const;
      try {
        await orMissing(ask(call));
      } catch (err) {
        const isUnderWay =
          err instanceof EngineRefusal && /removal of container .* is already in progress/.test(err.message);
        if (!isUnderWay) throw err;
      }
    },

    list: (labels) =>
      ask({
        method: "GET",
        path: "/containers/json",
        query: { all: true, filters: { label: filtersOf(labels) } },
        withinMs: QUICK_MS,
      }),

    events: (labels, signal) => {
      const filters = { type: ["container"], event: ["start", "die", "destroy"], label: filtersOf(labels) };
      return open({ method: "GET", path: "/events", query: { filters }, withinMs: QUICK_MS }, signal);
    },

    logs: (id, { follow, tail, since }, signal) => {
      const query = {
        follow,
        stdout: true,
        stderr: true,
        timestamps: true,
        ...(tail === undefined ? {} : { tail }),
        ...(since === undefined ? {} : { since: epochOf(since) }),
      };
      return open({ method: "GET", path: `${containerPath(id)}/logs`, query, withinMs: QUICK_MS }, signal);
    },

    async hasImage(image) {
      const path = `/images/${image.split("/").map(encodeURIComponent).join("/")}/json`;
      // An empty or dotted segment would name another resource of the engine.
      if (!/^[a-zA-Z0-9][^\s?#]*$/.test(image) || image.split("/").some((part) => /^\.{0,2}$/.test(part))) return false;
      try {
        return (await orMissing(ask({ method: "GET", path, withinMs: QUICK_MS }))) !== undefined;
      } catch (err) {
        if (err instanceof EngineRefusal && err.statusCode === 400) return false;
        throw err;
      }
    },

    async gpu() {
      const info = await ask<{ Runtimes?: Record<string, unknown>; DefaultRuntime?: string }>({
        method: "GET",
        path: "/info",
        withinMs: QUICK_MS,
      });
      const available = Object.keys(info.Runtimes ?? {}).some((name) => name.startsWith("nvidia"));
      return info.DefaultRuntime?.startsWith("nvidia") ? { available, runtimeWithout: "runc" } : { available };
    },
  };
}

async function orMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (err) {
    if (err instanceof EngineRefusal && err.statusCode === 404) return undefined;
    throw err;
  }
}

function addressOf(dockerHost: string | undefined): Dockerode.DockerOptions {
  // The client takes what is not given from the environment; a host there would win over our socket.
  const socket = (socketPath: string): Dockerode.DockerOptions => ({ socketPath, host: "" });
  if (dockerHost === undefined) return socket("/var/run/docker.sock");
  if (dockerHost.startsWith("unix://")) return socket(dockerHost.slice("unix://".length));
  const url = URL.parse(dockerHost);
  if (!url || !["tcp:", "http:", "https:"].includes(url.protocol)) {
    throw new CodedError("InvalidInput", `The Docker host '${dockerHost}' is not a unix:// or tcp:// address`);
  }
  const protocol = url.protocol === "https:" ? "https" : "http";
  return { protocol, host: url.hostname, port: url.port || (protocol === "https" ? 2376 : 2375) };
}

/** Seconds and nanoseconds, as the engine takes them. */
function epochOf(instant: string): string {
  const seconds = Math.floor(Date.parse(`${instant.slice(0, 19)}Z`) / 1000);
  return `${seconds}.${instant.slice(20, 29)}`;
}
