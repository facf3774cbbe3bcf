import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { accessWords, type ClusterConfig, clustersOf } from "../config/clusters.ts";
import { readConfigFile } from "../config/file.ts";
import type { StackConfig } from "../config/stack.ts";
import { messageOf } from "../model/errors.ts";
import { poll, settleAll } from "../waiting/bounded.ts";
import type { ProcessView, StackView } from "./supervisor/control.ts";
import { proveNamedPipes } from "./docker/docker-proof.ts";
import { findClusterEngines } from "./docker/cluster-engines.ts";
import { leaveDockerd } from "./docker/dockerd.ts";
import { settleDatabase, settleTemporal } from "./services.ts";
import { stackNameOf } from "./docker/engine-claims.ts";
import { EXAMPLE_IMAGE, hasImage, provideExampleImage } from "./docker/image.ts";
import {
  checkClusters,
  claimNamespaces,
  type ComputeChoice,
  settleChoice,
  type SettledChoice,
  settlePodListen,
} from "./kubernetes.ts";
import { makeFolders } from "./folders.ts";
import { findInstallation, versionOf, type Installation } from "./host/installation.ts";
import { lock } from "./host/lock.ts";
import { askStack, endRecorded, readProcessRecord } from "./supervisor/process-record.ts";
import { isAlive } from "./host/processes.ts";
import type { Report } from "./host/progress.ts";
import { mustHaveRoom } from "./host/room.ts";
import { logFileOf } from "./server-processes.ts";
import { probeStore } from "./store-probe.ts";
import { settleStores, type SettledStores } from "./stores.ts";
import type { StackSettings } from "./supervisor/settings.ts";

/** Another `up` can be downloading servers meanwhile. */
const LOCK_MS = 900_000;
/** From the start of the supervisor until all processes answer. */
const READY_MS = 120_000;
/** A process that exits this often before it is ready will never be. */
const HOPELESS_STARTS = 4;
/** Of a process's error message, in characters. */
const LONGEST_WORDS = 300;
const STOP_MS = 60_000;
/** From the start of a supervisor until it takes commands. */
const LISTENING_MS = 10_000;

/** Settings that are kept until another `up` changes them. */
export interface UpOptions {
  /** Where new buffers and logs are: `gs://BUCKET[/PREFIX]`, or `local` for the data folder. */
  store?: string | undefined;
  compute?: ComputeChoice;
}

export interface UpResult {
  /** False if this very stack was already running. */
  hasStarted: boolean;
  view: StackView;
}

export const lockNameOf = (config: StackConfig): string => `stack-${stackNameOf(config.paths)}`;

/**
 * Starts the local stack unless it is running; replaces one of another version, or with other clusters. After `signal` is aborted, finishes the
 * current step and stops what this call started.
 * @throws Error in one sentence, such as a server that cannot be installed or a process that does not start.
 */
export async function up(
  config: StackConfig,
  report: Report,
  signal: AbortSignal,
  { store, compute }: UpOptions = {},
): Promise<UpResult> {
  const installation = findInstallation();
  const version = versionOf(installation);
  const { paths } = config;
  makeFolders(config);
  await using _held = await lock(lockNameOf(config), LOCK_MS, "on this stack", report);

  const stores = settleStores(config, store);
  const chosen = settleChoice(paths.stateDir, compute);
  const running = await askStack(paths, "status");
  if (running?.version === version && hasStores(running, stores) && !chosen.isChanged) {
    const view = running.isReady ? running : await awaitReady(config, report, signal, supervisorOf(paths));
    return { hasStarted: false, view };
  }
  // Before any other process ends or starts because of it.
  const file = readConfigFile(config.inherited);
  const clusters = clustersOf(file, config.dockerHost, chosen.given);
  const kubernetes = clusters.filter((cluster) => cluster.kind === "kubernetes");
  await checkClusters(kubernetes, { config, report });
  const [cluster] = kubernetes;
  const podListen =
    cluster && chosen.given && file.dataPlane === undefined
      ? await settlePodListen(cluster, { config, chosen, isRunning: running !== undefined, report })
      : undefined;
  await mustHaveRoom(paths.dataDir);
  if (stores.bucket) {
    const { node, env } = { node: process.execPath, env: { PATH: config.path, ...config.inherited } };
    for (const line of await probeStore(stores.bucket, { node, dist: installation.dist, env })) report(line);
  }
  stores.keep();
  if (running) {
    report(running.version === version ? "stopping the processes" : "stopping the processes of another version");
    await askStack(paths, "stop", STOP_MS);
  }
  await endRecorded(paths.stateDir);
  chosen.keep(podListen);

  let supervisor: ChildProcess | undefined;
  let provingPipes: Promise<void> | undefined;
  try {
    const settled = await settle(config, { installation, version, clusters, stores, chosen, podListen }, report);
    const { settings } = settled;
    ({ provingPipes } = settled);
    signal.throwIfAborted();
    report(`starting ${startedNames(settings)}`);
    supervisor = startSupervisor(settings);
    const [view] = await Promise.all([awaitReady(config, report, signal, watch(supervisor)), provingPipes]);
    await claimNamespaces(kubernetes, config);
    return { hasStarted: true, view };
  } catch (err) {
    if (supervisor) await stopAgain(supervisor, paths);
    chosen.revert();
    // It removes its container, which would otherwise stay.
    await provingPipes?.catch(() => {});
    // A stack that did not start needs no Docker engine.
    await leaveDockerd(paths, report);
    throw err;
  }
}

/** A supervisor of an older version does not say, but that one is replaced in any case. */
const hasStores = (running: StackView, { stores }: SettledStores): boolean =>
  JSON.stringify(running.stores ?? []) === JSON.stringify(stores?.urls ?? []);

interface Plan {
  installation: Installation;
  version: string;
  clusters: ClusterConfig[];
  stores: SettledStores;
  chosen: SettledChoice;
  podListen: string | undefined;
}

/** Prepares Docker, Postgres, and Temporal. The test of the named pipes continues while the processes start. */
async function settle(
  config: StackConfig,
  { installation, version, clusters, stores, chosen, podListen }: Plan,
  report: Report,
): Promise<{ settings: StackSettings; provingPipes: Promise<void> }> {
  const kubernetes = clusters.filter((cluster) => cluster.kind === "kubernetes");
  const onDocker = clusters.filter((cluster) => cluster.kind === "docker");
  const docker = async () => {
    if (onDocker.length === 0) return [];
    const engines = await findClusterEngines({ ...config, runtimeDir: config.paths.runtimeDir, report }, onDocker);
    for (const { engine } of engines.filter(({ isAnswering }) => isAnswering)) {
      const source = { engine, path: config.path, uid: config.uid, report };
      await provideExampleImage(source).catch((err: unknown) => report(messageOf(err)));
    }
    return engines;
  };
  const parts = [
    docker(),
    settleDatabase(config, report),
    settleTemporal(config, installation.temporalConfig, report),
  ] as const;
  const [engines, postgres, temporal] = await settleAll(parts);
  const provingPipes = (async () => {
    for (const { engine } of engines.filter(({ isAnswering }) => isAnswering)) {
      if (!(await hasImage(engine, EXAMPLE_IMAGE))) continue;
      await proveNamedPipes(engine, EXAMPLE_IMAGE, config.paths.stateDir, config.path);
    }
  })();
  // Awaited later, together with the processes; until then a failure must not count as unhandled.
  provingPipes.catch(() => {});
  const settings: StackSettings = {
    version,
    paths: config.paths,
    node: process.execPath,
    dist: installation.dist,
    // That of the cluster without an address of its own.
    dockerHost:
      (engines.find((_, at) => onDocker[at]?.dockerHost === config.dockerHost) ?? engines[0])?.engine.host ?? "",
    clusters: engines.map(({ name, engine }) => ({ name, dockerHost: engine.host })),
    kubernetes: kubernetes.map(({ name, access, namespace }) => ({
      name,
      words: accessWords(access),
      ...(namespace === undefined ? {} : { namespace }),
    })),
    path: config.path,
    inherited: {
      ...config.inherited,
      ...stores.variables,
      ...chosen.variables,
      ...(podListen === undefined ? {} : { TYGER_POD_LISTEN: podListen }),
    },
    stores: stores.stores?.urls ?? [],
    postgres,
    temporal,
  };
  return { settings, provingPipes };
}

function startedNames({ postgres, temporal }: StackSettings): string {
  const services = [
    ...(postgres.kind === "embedded" ? ["Postgres"] : []),
    ...(temporal.kind === "dev" ? ["Temporal"] : []),
  ];
  return [...services, "the API and the worker"].join(", ");
}

function startSupervisor(settings: StackSettings): ChildProcess {
  const { stateDir } = settings.paths;
  const log = openSync(logFileOf(stateDir, "supervisor"), "a", 0o600);
  const main = join(settings.dist, "supervisor.js");
  // In a session of its own, so that it outlives the terminal and the caller's process group.
  const child = spawn(settings.node, ["--disable-sigusr1", "--enable-source-maps", main], {
    detached: true,
    cwd: settings.paths.dataDir,
    env: { PATH: settings.path, ...settings.inherited },
    stdio: ["pipe", log, log],
  });
  closeSync(log);
  child.once("error", () => {});
  child.stdin?.on("error", () => {});
  child.stdin?.end(JSON.stringify(settings));
  child.unref();
  return child;
}

/** Keeps asking, because a supervisor that was just started may not be listening yet. */
async function stopAgain(supervisor: ChildProcess, paths: StackConfig["paths"]): Promise<void> {
  const look = async (): Promise<"stopping" | "ended" | undefined> => {
    if (hasEnded(supervisor)) return "ended";
    return (await askStack(paths, "stop", STOP_MS)) ? "stopping" : undefined;
  };
  if ((await poll(look, { everyMs: 50, withinMs: LISTENING_MS })) !== "stopping") supervisor.kill("SIGTERM");
}

/** A supervisor that `up` waits for: its own child, or the one of another `up`. */
interface WatchedSupervisor {
  hasEnded(): boolean;
  /** Starts the error message if it has ended. */
  failure: string;
}

const watch = (child: ChildProcess): WatchedSupervisor => ({
  hasEnded: () => hasEnded(child),
  failure: "The supervisor did not start",
});

function supervisorOf({ stateDir }: StackConfig["paths"]): WatchedSupervisor {
  const supervisor = readProcessRecord(stateDir)?.supervisor;
  return {
    hasEnded: () => supervisor !== undefined && !isAlive(supervisor),
    failure: "The supervisor ended",
  };
}

async function awaitReady(
  { paths }: StackConfig,
  report: Report,
  signal: AbortSignal,
  supervisor: WatchedSupervisor,
): Promise<StackView> {
  const log = logFileOf(paths.stateDir, "supervisor");
  const ready = new Set<string>();
  let view: StackView | undefined;
  const look = async (): Promise<StackView | undefined> => {
    view = await askStack(paths, "status");
    for (const { name, state } of view?.processes ?? []) {
      if (state !== "ready" || ready.has(name)) continue;
      ready.add(name);
      report(`${name} is ready`);
    }
    if (view?.isReady) return view;
    const hopeless = view?.processes.find(({ state, restarts }) => state !== "ready" && restarts >= HOPELESS_STARTS);
    if (hopeless) throw new Error(failureOf(hopeless));
    if (supervisor.hasEnded()) throw new Error(`${supervisor.failure}; the end of '${log}' is: ${lastWords(log)}`);
    return undefined;
  };
  const whole = await poll(look, { everyMs: 50, withinMs: READY_MS, signal });
  if (whole) return whole;
  signal.throwIfAborted();
  const late = view?.processes.find(({ state }) => state !== "ready");
  if (late) throw new Error(`${failureOf(late)} within ${READY_MS / 1000} s`);
  throw new Error(`The supervisor does not answer; see '${log}'`);
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;

function failureOf({ name, lastExit, logFile }: ProcessView): string {
  const how = lastExit ? ` (${lastExit})` : "";
  return `'${name}' did not start${how}; the end of '${logFile}' is: ${lastWords(logFile)}`;
}

/** Prefers the error that ended the process to the last lines, which are often only its stack trace. */
function lastWords(file: string): string {
  try {
    const lines = readFileSync(file, "utf8").trimEnd().split("\n").slice(-30);
    const error = lines.findLast((line) => /^\[?\w*Error: /.test(line));
    return error?.slice(0, LONGEST_WORDS) ?? lines.slice(-3).join(" | ");
  } catch (err) {
    return messageOf(err);
  }
}
