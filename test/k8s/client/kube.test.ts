import { afterEach, beforeEach, expect, test } from "vitest";
import { createServerClock } from "../../../k8s/client/server-clock.ts";
import { FINALIZER } from "../../../k8s/spec/names.ts";
import { startFakeKube, type FakeKube } from "../fake-kube.ts";

let fake: FakeKube;

beforeEach(async () => {
  fake = await startFakeKube();
});
afterEach(() => fake.close());

/** Answers the first `count` requests with this status. */
function refuse(count: number, status: number, body: object): void {
  let left = count;
  fake.intercept = (_req, res) => {
    if (left === 0) return false;
    left -= 1;
    res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    return true;
  };
}

test.each([429, 500, 503, 504])("a status %i that passes is tried again", async (status) => {
  refuse(2, status, { kind: "Status", message: "busy" });
  expect(await fake.kube.findPod("p")).toBeUndefined();
  expect(fake.asked).toHaveLength(3);
});

test("a cluster that stays away is unavailable, in its words", async () => {
  refuse(99, 503, { kind: "Status", message: "the server is starting" });
  await expect(fake.kube.findPod("p")).rejects.toMatchObject({
    code: "Unavailable",
    message: expect.stringContaining("does not answer: the server is starting"),
  });
});

test("a connection that breaks is made again", async () => {
  let broken = 0;
  fake.intercept = (req) => {
    if (broken > 0) return false;
    broken += 1;
    req.socket.destroy();
    return true;
  };
  expect(await fake.kube.findPod("p")).toBeUndefined();
});

test("a 404 that is not the API server's says nothing about a pod", async () => {
  refuse(99, 404, { error: "no route" });
  await expect(fake.kube.findPod("p")).rejects.toMatchObject({ code: "Unavailable" });
});

test("a refusal for good keeps its status and its words", async () => {
  refuse(99, 422, { kind: "Status", reason: "Invalid", message: "Pod is invalid" });
  await expect(fake.kube.createPod({})).rejects.toMatchObject({ statusCode: 422, message: "Pod is invalid" });
  expect(fake.asked).toHaveLength(1);
});

test.each<[string, () => Promise<unknown>, unknown]>([
  ["pod", () => fake.kube.createPod({}), undefined],
  ["Secret", () => fake.kube.createSecret({}), false],
])("a %s whose name is taken is not created", async (_kind, create, expected) => {
  refuse(1, 409, { kind: "Status", reason: "AlreadyExists", message: "already exists" });
  expect(await create()).toBe(expected);
});

test("a long list is read in pages", async () => {
  const page = (name: string, next?: string) => ({
    items: [{ metadata: { name } }],
    metadata: { resourceVersion: "7", continue: next },
  });
  fake.intercept = (req, res) => {
    const isSecond = req.url?.includes("continue=more");
    res.end(JSON.stringify(isSecond ? page("b") : page("a", "more")));
    return true;
  };
  const { pods, resourceVersion } = await fake.kube.listPods("x=y");
  expect([pods.map(({ metadata }) => metadata?.name), resourceVersion]).toEqual([["a", "b"], "7"]);
});

test("only our finalizer is taken off a pod, and only off the very one", async () => {
  const metadata = { name: "p", uid: "u", finalizers: ["other", FINALIZER] };
  fake.pods.set("p", { metadata });
  const patches: string[] = [];
  fake.intercept = (req, res) => {
    if (req.method !== "PATCH") return false;
    req.on("data", (piece: Buffer) => patches.push(piece.toString()));
    req.on("end", () => res.end("{}"));
    return true;
  };
  await fake.kube.releasePod({ metadata: { ...metadata, uid: "another" } });
  expect(patches).toEqual([]);
  await fake.kube.releasePod({ metadata });
  expect(JSON.parse(patches[0] ?? "")).toEqual([
    { op: "test", path: "/metadata/uid", value: "u" },
    { op: "test", path: "/metadata/finalizers/1", value: FINALIZER },
    { op: "remove", path: "/metadata/finalizers/1" },
  ]);
});

test.each([
  ["our own time before any answer", undefined, 5_000_000],
  ["that of the server when it differs", new Date(9_000_000).toUTCString(), 9_000_000],
  ["our own where the difference is the rounding of a second", new Date(4_999_000).toUTCString(), 5_000_000],
  ["our own when the answer has none", "nonsense", 5_000_000],
])("the time of the cluster is %s", (_name, date, expected) => {
  const clock = createServerClock(() => 5_000_000);
  clock.hear(date);
  expect(clock.nowMs()).toBe(expected);
});
