import { afterEach, beforeEach, expect, test } from "vitest";
import { cancelOpenRuns } from "../../stack/cancel-runs.ts";
import { FakeServer, reply } from "../fakes/tyger-server.ts";

let server: FakeServer;
let open: Set<number>;
let reports: string[];
beforeEach(async () => {
  server = await new FakeServer().start();
  open = new Set([1, 2, 3]);
  reports = [];
  // One run a page.
  server.on("GET", /^\/runs\?/, ({ url }, response) => {
    const after = Number(new URL(url, "http://x").searchParams.get("_ct") ?? 0);
    const [id, ...rest] = [...open].filter((one) => one > after);
    const nextLink = rest.length > 0 ? { nextLink: `/runs?api-version=1.0&_ct=${id}` } : {};
    reply(response, 200, { items: id === undefined ? [] : [{ id, status: "Running" }], ...nextLink });
  });
});
afterEach(() => server.stop());

const canceled = (): string[] => server.requests("POST", /cancel/).map(({ url }) => url.split("?")[0] ?? "");

test("every run of every page is canceled once, and waited for", async () => {
  server.on("POST", /cancel/, (_request, response) => {
    reply(response, 202, { status: "Canceling" });
    // They end when all have been told to.
    if (canceled().length === 3) open.clear();
  });
  await cancelOpenRuns(server.socketPath, (line) => reports.push(line));
  expect(canceled()).toEqual(["/runs/1/cancel", "/runs/2/cancel", "/runs/3/cancel"]);
  expect(reports).toEqual(["waiting for 3 runs to be canceled"]);
  expect(server.seen[0]?.url).toBe("/runs?api-version=1.0&limit=1000&status=Pending&status=Running&status=Canceling");
});

test("runs that do not end in time are an error that counts them", async () => {
  server.on("POST", /cancel/, (_request, response) => reply(response, 202, { status: "Canceling" }));
  await expect(cancelOpenRuns(server.socketPath, () => undefined, 0)).rejects.toThrow(
    "3 runs did not end within 0 s after the request to cancel them",
  );
  expect(canceled()).toHaveLength(3);
});
