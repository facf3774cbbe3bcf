import { z } from "zod";
import { temporalConfigSchema } from "../temporal/temporal-config.ts";

const user = z.object({ uid: z.number(), gid: z.number() });

const postgres = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("given"),
    url: z.string(),
    /** Where `url` is that of a connection pooler. */
    directUrl: z.string().optional(),
    address: z.string(),
  }),
  z.object({
    kind: z.literal("embedded"),
    url: z.string(),
    binaries: z.string(),
    dataDir: z.string(),
    port: z.number(),
    user: user.optional(),
  }),
]);

const temporal = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("given"), address: z.string(), namespace: z.string() }),
  z.object({
    kind: z.literal("dev"),
    binary: z.string(),
    config: temporalConfigSchema,
    port: z.number(),
    uiPort: z.number(),
    folder: z.string(),
  }),
]);

export const clusterEngines = z.array(z.object({ name: z.string(), dockerHost: z.string() }));

/** Kubernetes clusters, with the way to each as a user reads it. Without a namespace, they have that of the installation. */
export const kubernetesClusters = z.array(
  z.object({ name: z.string(), words: z.string(), namespace: z.string().optional() }),
);

/** Everything `tyger up` decides for the supervisor; passed on stdin, because it contains passwords. */
export const stackSettingsSchema = z.object({
  version: z.string(),
  paths: z.object({
    dataDir: z.string(),
    runtimeDir: z.string(),
    stateDir: z.string(),
    apiSocket: z.string(),
    dataSocket: z.string(),
  }),
  node: z.string(),
  dist: z.string(),
  /** As DOCKER_HOST of the servers; empty for a stack without Docker. */
  dockerHost: z.string(),
  /** With the engine of each, the default first. */
  clusters: clusterEngines,
  kubernetes: kubernetesClusters,
  path: z.string(),
  inherited: z.record(z.string(), z.string()),
  /** URLs, the default first; none when the configuration decides. */
  stores: z.array(z.string()),
  postgres,
  temporal,
});

export type StackSettings = z.infer<typeof stackSettingsSchema>;
