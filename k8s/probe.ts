import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { base32 } from "../model/buffer/buffer.ts";
import { CodedError } from "../model/errors.ts";
import { hasEnded, type ContainerState } from "../model/run/lifecycle.ts";
import { poll } from "../waiting/bounded.ts";
import { lacksServiceAccount, type Kube } from "./client/kube.ts";
import { PATIENCE } from "./spec/cluster-settings.ts";
import { MAIN } from "./spec/main-container.ts";
import { sightOf } from "./spec/pod-state.ts";
import { RESTRICTED } from "./spec/pump-container.ts";
import type { Pod } from "./spec/wire.ts";

export interface ProbeRequest {
  /** Of pumps. */
  image: string;
  /** Of this machine, the preferred one first. */
  addresses: readonly string[];
  /** Free on all of them. */
  port: number;
}

const LOOK_MS = 250;
const PROBE_MS = 90_000;
/** A registry that has failed for this long is not waited for at a terminal. */
const IMAGE_MS = 20_000;
/** A namespace has no service account in its first moment. */
const NEW_NAMESPACE_MS = 10_000;
/** Not a label of runs: nothing else looks for this pod. */
const LABEL = "tyger-probe";

/** Tries the addresses, and the programs that a pump needs. Its last words are JSON. */
const SCRIPT = `
const [, urls, word] = process.argv;
const say = (words) => require("fs").writeFileSync("/dev/termination-log", JSON.stringify(words));
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 19)) say({ problem: "it has Node " + process.version + ", and needs 22.19" });
else if (require("child_process").spawnSync("mkfifo", ["--version"]).error) say({ problem: "it has no program 'mkfifo'" });
else (async () => {
  const failures = [];
  for (const url of JSON.parse(urls)) {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(3000) });
      if (await answer.text() === word) return say({ url });
      failures.push(url + " (another program answers)");
    } catch (err) {
      failures.push(url + " (" + (err.cause?.code ?? err.name) + ")");
    }
  }
  say({ failures });
})();
`;

interface Words {
  problem?: string;
  url?: string;
  failures?: string[];
}

/**
 * Finds the address at which pods reach this machine, with a pod like those of pumps.
 * @throws CodedError Unavailable in one sentence: the image cannot be used, or no address is reached
 */
export async function probe(kube: Kube, { image, addresses, port }: ProbeRequest): Promise<string> {
  const word = base32(randomBytes(10));
  const server = createServer((_req, res) => void res.end(word));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "0.0.0.0", resolve);
  });
  const urls = addresses.map((address) => `http://${address}:${port}`);
  let pod: Pod | undefined;
  try {
    pod = await created(kube, probePodOf({ image, urls, word, namespace: kube.namespace }));
    const state = await ended(kube, pod.metadata?.name ?? "");
    const { url, problem, failures = [] } = state.words;
    if (url !== undefined) return addresses[urls.indexOf(url)] ?? "";
    if (problem !== undefined) throw unusable(image, problem);
    if (failures.length > 0) {
      throw new CodedError(
        "Unavailable",
        `Pods do not reach this machine, so they cannot move data; they tried ${failures.join(", ")}: open a way, or set 'dataPlane' in a configuration file`,
      );
    }
    throw unusable(image, state.message);
  } finally {
    server.closeAllConnections();
    server.close();
    if (pod) await kube.deletePod(pod, 0).catch(() => undefined);
  }
}

const unusable = (image: string, why: string): CodedError => {
  const load = `'kind load docker-image ${image}', 'minikube image load ${image}', 'k3s ctr images import' or 'ctr --namespace k8s.io images import'`;
  return new CodedError(
    "Unavailable",
    `The image '${image}', which moves data in pods, cannot be used: ${why}; load it into the cluster with ${load}, or name another one with --pump-image`,
  );
};

function probePodOf(given: { image: string; urls: readonly string[]; word: string; namespace: string }): Pod {
  const { image, urls, word, namespace } = given;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `tyger-probe-${word.slice(0, 8)}`, namespace, labels: { [LABEL]: word } },
    spec: {
      restartPolicy: "Never",
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      activeDeadlineSeconds: PROBE_MS / 1000,
      containers: [
        {
          name: MAIN,
          image,
          imagePullPolicy: "IfNotPresent",
          command: ["node", "-e", SCRIPT, JSON.stringify(urls), word],
          securityContext: RESTRICTED,
        },
      ],
    },
  };
}

async function created(kube: Kube, pod: Pod): Promise<Pod> {
  const create = async (): Promise<Pod | undefined> => {
    try {
      return await kube.createPod(pod);
    } catch (err) {
      if (lacksServiceAccount(err)) return undefined;
      throw err;
    }
  };
  const made = await poll(create, { everyMs: LOOK_MS, withinMs: NEW_NAMESPACE_MS });
  if (made) return made;
  throw new CodedError("Unavailable", `The namespace '${kube.namespace}' gets no service account`);
}

/** The state of the probe at its end, or after a while, in words. */
async function ended(kube: Kube, name: string): Promise<{ words: Words; message: string }> {
  let last: ContainerState = { phase: "Unknown" };
  const look = async (): Promise<Words | undefined> => {
    const pod = await kube.findPod(name);
    if (!pod) return {};
    const patience = { ...PATIENCE, userImageMs: IMAGE_MS };
    last = sightOf(pod, { nowMs: kube.clock.nowMs(), patience, earlier: last.message }).container;
    if (!hasEnded(last)) return undefined;
    const main = pod.status?.containerStatuses?.find((status) => status.name === MAIN);
    return wordsIn(main?.state?.terminated?.message);
  };
  const words = (await poll(look, { everyMs: LOOK_MS, withinMs: PROBE_MS })) ?? {};
  const { message = `its pod did not end within ${PROBE_MS / 1000} s`, exitCode } = last;
  return { words, message: exitCode === undefined ? message : `its program exited with code ${exitCode}` };
}

function wordsIn(text: string | undefined): Words {
  try {
    return Object(JSON.parse(text ?? "{}")) as Words;
  } catch {
    return {};
  }
}
