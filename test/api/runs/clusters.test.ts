import { afterEach, beforeEach, expect, test } from "vitest";
import type { ComputeReader } from "../../../model/ports/compute.ts";
import { createFakeApi, type FakeApi } from "../../fakes/api.ts";

const AT = "2024-01-25T18:20:49.951262000Z";
/** The logs of a cluster: its name. */
const logsOf = (name: string): ComputeReader["logs"] =>
  async function* () {
    yield [{ at: AT, bytes: Buffer.from(`${name}\n`) }];
  };

let api: FakeApi;
beforeEach(() => {
  api = createFakeApi({
    clusters: {
      east: { logs: logsOf("east") },
      west: {
        hasImage: async (image) => image === "alpine",
        logs: logsOf("west"),
        hasGpu: async () => true,
      },
    },
  });
});
afterEach(() => api.app.close());

const JOB = { codespec: { kind: "job", image: "ubuntu" } };
const WEST = { job: { codespec: { kind: "job", image: "alpine" } }, cluster: "WEST" };
const post = (url: string, payload?: object, key = "") =>
  api.app.inject({
    method: "POST",
    url: `${url}?api-version=1.0`,
    ...(payload && { payload }),
    headers: { "idempotency-key": key },
  });
const get = (url: string) => api.app.inject({ method: "GET", url: `${url}api-version=1.0` });

test("every answer shows the cluster of a run by its configured name", async () => {
  const created = (await post("/runs", WEST, "k")).json();
  expect(created).toMatchObject({ id: 1, cluster: "west" });
  expect((await post("/runs", { job: JOB }, "k")).json()).toMatchObject({ id: 1, cluster: "west" });
  expect((await post("/runs", { job: JOB })).json()).toMatchObject({ id: 2, cluster: "east" });
  expect((await get("/runs?")).json().items).toMatchObject([{ cluster: "east" }, { cluster: "west" }]);
  expect((await get("/runs/1?")).json().cluster).toBe("west");
  const set = { method: "PUT" as const, url: "/runs/1?api-version=1.0", payload: { tags: { a: "b" } } };
  expect((await api.app.inject(set)).json().cluster).toBe("west");
  api.change(1, { status: "Succeeded" });
  expect(JSON.parse((await get("/runs/1?watch=true&")).body).cluster).toBe("west");
  expect((await post("/runs/1/cancel")).json().cluster).toBe("west");
});

test("an unknown cluster is refused, and nothing is stored", async () => {
  const { statusCode, body } = await post("/runs", { job: JOB, cluster: "north" });
  expect([statusCode, JSON.parse(body)]).toEqual([
    400,
    {
      error: { code: "InvalidInput", message: "Unknown cluster 'north'; this server has 'east', 'west'" },
    },
  ]);
  expect([api.runRows.size, api.told]).toEqual([0, []]);
});

test("the image must be on the engine of the run's cluster", async () => {
  expect((await post("/runs", { ...WEST, job: JOB })).json().error.message).toBe(
    "The image 'ubuntu' is not on the engine of the cluster 'west'; pull it first with 'docker --host tcp://west:2375 pull ubuntu'",
  );
  expect((await post("/runs", { ...WEST, cluster: "east" })).statusCode).toBe(400);
  expect((await post("/runs", WEST)).statusCode).toBe(201);
});

test("logs come from the engine of the run's cluster; of one that is no longer configured, from the archive alone", async () => {
  await post("/runs", { job: JOB });
  await post("/runs", WEST);
  expect([(await get("/runs/1/logs?")).body, (await get("/runs/2/logs?")).body]).toEqual(["east\n", "west\n"]);
  api.change(2, { cluster: "south" });
  expect((await get("/runs/2/logs?")).statusCode).toBe(503);
  api.archived.set(2, [{ at: AT, bytes: Buffer.from("kept\n") }]);
  api.change(2, { status: "Succeeded", archivedAt: AT });
  expect((await get("/runs/2/logs?")).body).toBe("kept\n");
});

test("a server has GPUs if one of its clusters has", async () => {
  expect((await get("/metadata?")).json().capabilities).toContain("Gpu");
});
