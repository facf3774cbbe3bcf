import type { IncomingMessage } from "node:http";
import type Dockerode from "dockerode";
import { EngineRefusal, type Caller } from "./engine-call.ts";
import { CONTAINER_ACTIONS } from "./events.ts";

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

/** Calls about containers. Each call has a deadline. @throws CodedError Unavailable, EngineRefusal */
export interface Containers {
  /** By name or id; undefined only when the engine itself answers that it has none. */
  inspect(container: string): Promise<ContainerInfo | undefined>;
  /** Returns the id. */
  create(name: string | undefined, options: CreateOptions): Promise<string>;
  start(id: string): Promise<void>;
  /** The stop signal, then SIGKILL after the grace; resolves when the container has ended or is gone. */
  stop(id: string, graceSeconds: number): Promise<void>;
  /** A container that is gone counts as removed. Without `force` a running one is refused (409). */
  remove(id: string, options: { force: boolean }): Promise<void>;
  /** Containers in any state that have all these labels. */
  list(labels: LabelFilter): Promise<Dockerode.ContainerInfo[]>;
  /** The number of running containers, those of others included. */
  countRunning(withinMs: number): Promise<number>;
  /** The {@link CONTAINER_ACTIONS} of containers with these labels from this moment on, as JSON lines. */
  events(labels: LabelFilter, signal: AbortSignal): Promise<IncomingMessage>;
  /** Output and error as the engine frames them, with timestamps. */
  logs(id: string, options: LogStreamOptions, signal: AbortSignal): Promise<IncomingMessage>;
}

export const QUICK_MS = 30_000;
export const SLOW_MS = 90_000;

const pathOf = (container: string): string => `/containers/${encodeURIComponent(container)}`;
const filtersOf = (labels: LabelFilter): string[] => Object.entries(labels).map(([name, value]) => `${name}=${value}`);

export function containersOf({ ask, open, unavailable }: Caller): Containers {
  const listed = (query: Record<string, unknown>, withinMs: number) =>
    ask<Dockerode.ContainerInfo[]>({ method: "GET", path: "/containers/json", query, withinMs });

  /** Undefined when there is no such container. A 404 about anything else, such as its path, says nothing about it. */
  const orGone = async <T>(answer: Promise<T>): Promise<T | undefined> => {
    try {
      return await answer;
    } catch (err) {
      if (!(err instanceof EngineRefusal) || err.statusCode !== 404) throw err;
      if (!/no such container/i.test(err.message)) throw unavailable(err);
      return undefined;
    }
  };

  return {
    inspect: (container) => orGone(ask({ method: "GET", path: `${pathOf(container)}/json`, withinMs: QUICK_MS })),

    async create(name, options) {
      const call = { method: "POST", path: "/containers/create", query: { name }, body: options } as const;
      return (await ask<{ Id: string }>({ ...call, withinMs: SLOW_MS })).Id;
    },

    async start(id) {
      await ask({ method: "POST", path: `${pathOf(id)}/start`, withinMs: SLOW_MS });
    },

    async stop(id, graceSeconds) {
      const withinMs = SLOW_MS + graceSeconds * 1000;
      await orGone(ask({ method: "POST", path: `${pathOf(id)}/stop`, query: { t: graceSeconds }, withinMs }));
    },

    async remove(id, { force }) {
      try {
        await orGone(ask({ method: "DELETE", path: pathOf(id), query: { force, v: true }, withinMs: SLOW_MS }));
      } catch (err) {
        if (!isRemovalUnderWay(err)) throw err;
      }
    },

    list: (labels) => listed({ all: true, filters: { label: filtersOf(labels) } }, QUICK_MS),

    countRunning: async (withinMs) => (await listed({}, withinMs)).length,

    events: (labels, signal) => {
      const filters = { type: ["container"], event: [...CONTAINER_ACTIONS], label: filtersOf(labels) };
      return open({ method: "GET", path: "/events", query: { filters }, withinMs: QUICK_MS }, signal);
    },

    logs: (id, { follow, tail, since }, signal) => {
      const from = since === undefined ? undefined : epochOf(since);
      const query = { follow, stdout: true, stderr: true, timestamps: true, tail, since: from };
      return open({ method: "GET", path: `${pathOf(id)}/logs`, query, withinMs: QUICK_MS }, signal);
    },
  };
}

const isRemovalUnderWay = (err: unknown): boolean =>
  err instanceof EngineRefusal && /removal of container .* is already in progress/.test(err.message);

/** Seconds and nanoseconds, as the engine takes them. */
function epochOf(instant: string): string {
  const seconds = Math.floor(Date.parse(`${instant.slice(0, 19)}Z`) / 1000);
  return `${seconds}.${instant.slice(20, 29)}`;
}
