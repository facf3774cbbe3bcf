import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { StackConfig } from "../config/stack.ts";
import { errnoOf, messageOf } from "../model/errors.ts";
import { LOST_RUNS_FILE, workflowIdOf } from "../model/run/names.ts";
import { knownInstallation } from "./kubernetes.ts";
import { refusalOf } from "./docker/docker-engine.ts";
import { readStores } from "./stores.ts";
import type { StackView } from "./supervisor/control.ts";
import { askStack } from "./supervisor/process-record.ts";

const PING_MS = 2000;

/** Returns undefined if the stack is down. */
export const status = ({ paths }: StackConfig): Promise<StackView | undefined> => askStack(paths, "status");

/** The API's address in the form of the login file. */
export const serverUrlOf = ({ apiSocket }: StackView): string => `http+unix://${apiSocket}:`;

/** Why engines of the stack do not answer at this moment, by their address. */
export async function engineProblems({
  dockerHost,
  clusters,
  kubernetes = [],
}: StackView): Promise<Map<string, string>> {
  const docker = clusters?.map((cluster) => cluster.dockerHost) ?? [dockerHost];
  const hosts = kubernetes.length > 0 ? [] : docker;
  const asked = hosts.map(async (host) => [host, await refusalOf({ host }, PING_MS)] as const);
  return new Map((await Promise.all(asked)).flatMap(([host, problem]) => (problem ? [[host, problem]] : [])));
}

/**
 * Formats the state of a stack for a person; scripts should use the API.
 * @param problems as {@link engineProblems}
 */
export function describeStack(
  view: StackView | undefined,
  { paths }: StackConfig,
  problems: ReadonlyMap<string, string> = new Map(),
): string {
  if (!view) return ["The stack is down.", `data folder   ${paths.dataDir}`, ...keptStores({ paths }), ""].join("\n");
  const width = Math.max(...view.processes.map(({ name }) => name.length));
  const processes = view.processes.map(({ name, state, pid, restarts, lastExit, logFile }) => {
    const where = pid === undefined ? "" : ` (pid ${pid})`;
    const again = restarts > 0 ? `, restarted ${restarts} times, last exit: ${lastExit ?? "unknown"}` : "";
    return `  ${name.padEnd(width)}  ${state}${where}${again}, log ${logFile}`;
  });
  const installation = installationOf(paths.stateDir);
  return [
    view.isReady ? "The stack is up." : "The stack is not ready.",
    ...processes,
    ...(view.webUi ? [`Web UI        ${view.webUi}`] : []),
    ...(view.temporal ? [`Temporal      ${view.temporal}`] : []),
    ...(view.given?.postgres ? [`Postgres      ${view.given.postgres}, from DATABASE_URL`] : []),
    ...(view.given?.temporal ? [`Temporal      ${view.given.temporal}, from TEMPORAL_ADDRESS`] : []),
    `API           ${serverUrlOf(view)}`,
    ...enginesOf(view, installation, problems),
    `data folder   ${paths.dataDir}`,
    ...storeLines(view.stores),
    ...(view.given?.postgres ? [] : databaseElsewhere(paths.dataDir)),
    `installation  ${installation}`,
    ...lostRunsOf(paths.stateDir, installation, view),
    `supervisor    pid ${view.pid}, version ${view.version}`,
    "",
  ].join("\n");
}

function enginesOf(
  { dockerHost, clusters = [], kubernetes = [] }: StackView,
  installation: string,
  problems: ReadonlyMap<string, string>,
): string[] {
  const lineOf = (host: string, cluster: string): string => {
    const problem = problems.get(host);
    return `Docker        ${host}${cluster}${problem === undefined ? "" : `: ${problem}`}`;
  };
  if (kubernetes.length > 0) {
    return kubernetes.map(({ name, words, namespace }) => {
      const which = kubernetes.length > 1 ? `, cluster '${name}'` : "";
      return `Kubernetes    ${words}, namespace '${namespace ?? `tyger-${installation}`}'${which}`;
    });
  }
  if (clusters.length < 2) return [lineOf(clusters[0]?.dockerHost ?? dockerHost, "")];
  return clusters.map((cluster) => lineOf(cluster.dockerHost, `, cluster '${cluster.name}'`));
}

/** Where buffers and logs are, if not in the data folder. */
function storeLines([first, ...former]: readonly string[] = []): string[] {
  if (first === undefined) return [];
  return [`store         ${first}`, ...former.map((url) => `former store  ${url}, for what is there already`)];
}

/** Those that the next `up` will have. */
function keptStores(config: Pick<StackConfig, "paths">): string[] {
  try {
    return storeLines(readStores(config)?.urls);
  } catch (err) {
    return [`store         unknown: ${messageOf(err)}`];
  }
}

/** Part of the name of every workflow and container; the worker writes it when it is ready. */
function installationOf(stateDir: string): string {
  try {
    return knownInstallation(stateDir) ?? "unknown until the worker is ready";
  } catch (err) {
    return `unknown: ${messageOf(err)}`;
  }
}

const lostRunsSchema = z.array(z.object({ id: z.number(), endCommand: z.string().optional() }));

/** Runs that the database does not know, because it was restored from a backup, and how to end each of them. */
function lostRunsOf(stateDir: string, installation: string, { temporal, given }: StackView): string[] {
  const file = join(stateDir, LOST_RUNS_FILE);
  const lost = readLostRuns(file);
  if (lost === undefined) return [`lost runs     unknown: '${file}' cannot be read`];
  if (lost.length === 0) return [];
  const address = temporal ?? given?.temporal;
  const terminate = `temporal workflow terminate${address === undefined ? "" : ` --address ${address}`} --workflow-id`;
  return [
    "lost runs     These execute, but the database does not know them: it was restored. Each command ends one.",
    ...lost.map(({ id, endCommand }) => `  ${endCommand ?? `${terminate} ${workflowIdOf(installation, id)}`}`),
  ];
}

/** Undefined when it is not known whether there are any. */
function readLostRuns(file: string): z.infer<typeof lostRunsSchema> | undefined {
  try {
    return lostRunsSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (err) {
    return errnoOf(err) === "ENOENT" ? [] : undefined;
  }
}

/** Root's database can be outside the data folder, where Postgres' own user can reach it. */
function databaseElsewhere(dataDir: string): string[] {
  try {
    return [`database      ${readlinkSync(join(dataDir, "postgres"))}`];
  } catch {
    return [];
  }
}
