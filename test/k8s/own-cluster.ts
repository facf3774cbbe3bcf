import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { promisify } from "node:util";
import { errnoOf } from "../../model/errors.ts";
import { EXAMPLE_IMAGE } from "../../stack/docker/image.ts";
import { eventually } from "../eventually.ts";
import { buildPumpImage, PUMP_IMAGE } from "./pump-image.ts";

/** A cluster of one node that tests start on this machine, and that they can break. */

const run = promisify(execFile);
const SCRIPTS = resolve(import.meta.dirname, "../cluster");
/** The folder with the binaries, which are too large for the repository. */
const FILES =
  process.env["TYGER_KUBE_FILES"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tyger/kube");
const PROGRAMS: Readonly<Record<string, string>> = {
  etcd: "etcd-server",
  containerd: "containerd",
  runc: "runc",
  iptables: "iptables",
  ip: "iproute2",
  conntrack: "conntrack",
  openssl: "openssl",
  xz: "xz-utils",
  busybox: "busybox-static",
  kubectl: "kubernetes-client",
};
const API_PORT = 16443;

/** A part of the cluster that runs as a process of this machine. */
export type ClusterPart =
  | "etcd"
  | "kube-apiserver"
  | "kube-controller-manager"
  | "kube-scheduler"
  | "kubelet"
  | "containerd";

/** Why no cluster can be started on this machine; undefined if one can. */
export async function whyNoOwnCluster(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "only root can start a cluster, and TYGER_TEST_KUBECONFIG names no other one";
  if (process.arch !== "x64")
    return "a cluster can be started on x64 only, and TYGER_TEST_KUBECONFIG names no other one";
  for (const file of ["kube.xz", "coredns.xz"]) {
    if (!existsSync(join(FILES, file))) {
      return `'${join(FILES, file)}' is missing; set TYGER_KUBE_FILES to its folder, or call test/cluster/build.sh`;
    }
  }
  for (const [program, debianPackage] of Object.entries(PROGRAMS)) {
    if (!isOnPath(program)) return `'${program}' is not installed (Debian package ${debianPackage})`;
  }
  if (!existsSync("/usr/lib/cni/bridge")) {
    return "'/usr/lib/cni/bridge' is not installed (Debian package containernetworking-plugins)";
  }
  if (await isListening(API_PORT)) {
    return `another cluster runs on this machine (port ${API_PORT} is in use); set TYGER_TEST_KUBECONFIG to use that one`;
  }
  return undefined;
}

/**
 * Starts the cluster, or the parts of it that have ended, and waits until its node is ready. It ends itself, and removes `state`, when
 * the process `guardPid` has ended.
 */
export async function startCluster(state: string, guardPid: number): Promise<void> {
  await run(join(SCRIPTS, "up.sh"), ["--while", String(guardPid), state], {
    env: { ...process.env, TYGER_KUBE_FILES: FILES },
  });
  const loaded = join(state, "image-loaded");
  if (existsSync(loaded)) return;
  const archive = join(state, "image.tar");
  await buildPumpImage();
  await run("docker", ["save", "--output", archive, EXAMPLE_IMAGE, PUMP_IMAGE]);
  await run(join(SCRIPTS, "load-image.sh"), [archive, state]);
  await writeFile(loaded, "");
}

/** Ends the cluster with all its pods, and removes its state. */
export async function endCluster(state: string): Promise<void> {
  await run(join(SCRIPTS, "down.sh"), ["--purge", state]);
}

/** Ends a part by SIGKILL, and waits until it is gone: {@link startCluster} starts it again, unless it still seems to run. */
export async function killPart(state: string, part: ClusterPart): Promise<void> {
  const pid = Number(await readFile(join(state, "run", `${part}.pid`), "utf8"));
  process.kill(pid, "SIGKILL");
  await eventually(() => !isAlive(pid));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (err) {
    if (errnoOf(err) === "ESRCH") return false;
    throw err;
  }
}

const isOnPath = (program: string): boolean =>
  (process.env["PATH"] ?? "").split(delimiter).some((folder) => existsSync(join(folder, program)));

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port });
    const answer = (isOpen: boolean): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.on("connect", () => answer(true));
    socket.on("error", () => answer(false));
  });
}
