import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { beforeEach, expect, test } from "vitest";
import { KubeRefusal } from "../../k8s/client/kube-call.ts";
import type { Kube } from "../../k8s/client/kube.ts";
import { probe } from "../../k8s/probe.ts";
import type { Pod } from "../../k8s/spec/wire.ts";

let calls: string[];
let refusals: Error[];
/** Plays the pod: gets the URLs and the word, and gives its status. */
let play: (urls: string[], word: string) => Promise<NonNullable<Pod["status"]>>;
let pod: Pod | undefined;
beforeEach(() => {
  calls = [];
  refusals = [];
});

/** Only the calls of a probe. */
const kube = {
  namespace: "jobs",
  clock: { nowMs: () => Date.now() },
  async createPod(made: Pod) {
    const refusal = refusals.shift();
    if (refusal) throw refusal;
    const [urls = "", word = ""] = made.spec?.containers[0]?.command?.slice(-2) ?? [];
    pod = { ...made, status: await play(JSON.parse(urls), word) };
    return pod;
  },
  findPod: async () => pod,
  deletePod: async ({ metadata }: Pod) => void calls.push(`delete ${metadata?.name?.replace(/-[a-z2-7]+$/, "")}`),
} as unknown as Kube;

const said = (words: object): NonNullable<Pod["status"]> => ({
  phase: "Succeeded",
  containerStatuses: [
    {
      name: "main",
      image: "img",
      imageID: "",
      ready: false,
      restartCount: 0,
      state: { terminated: { exitCode: 0, message: JSON.stringify(words) } },
    },
  ],
});

async function probed(): Promise<string> {
  const server = createServer().listen(0, "0.0.0.0");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return probe(kube, { image: "img", addresses: ["192.0.2.1", "127.0.0.1"], port });
}

test("the address that a pod reaches is found, and the pod is removed", async () => {
  play = async (urls, word) => {
    const text = await (await fetch(urls[1] ?? "")).text();
    return said(text === word ? { url: urls[1] } : { problem: text });
  };
  expect(await probed()).toBe("127.0.0.1");
  expect(calls).toEqual(["delete tyger-probe"]);
});

test("without an address that is reached, those that were tried are named", async () => {
  play = async (urls) => said({ failures: urls.map((url) => `${url.replace(/\d+$/, "PORT")} (ETIMEDOUT)`) });
  await expect(probed()).rejects.toMatchObject({
    code: "Unavailable",
    message: expect.stringMatching(
      /they tried http:\/\/192\.0\.2\.1:PORT \(ETIMEDOUT\), http:\/\/127\.0\.0\.1:PORT \(ETIMEDOUT\): open a way, or set 'dataPlane' in a configuration file$/,
    ),
  });
  expect(calls).toEqual(["delete tyger-probe"]);
});

test("an image with an older Node is named", async () => {
  play = async () => said({ problem: "it has Node v20.1.0, and needs 22.19" });
  await expect(probed()).rejects.toThrow(
    "The image 'img', which moves data in pods, cannot be used: it has Node v20.1.0, and needs 22.19; load it",
  );
});

test("a namespace that is just being made is waited for; another refusal is not", async () => {
  const isNew =
    'pods "x" is forbidden: error looking up service account jobs/default: serviceaccount "default" not found';
  refusals = [new KubeRefusal(403, "Forbidden", isNew)];
  play = async (urls) => said({ url: urls[0] });
  expect(await probed()).toBe("192.0.2.1");
  refusals = [new KubeRefusal(403, "Forbidden", "exceeded quota")];
  await expect(probed()).rejects.toThrow("exceeded quota");
});
