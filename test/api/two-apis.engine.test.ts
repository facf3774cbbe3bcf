import { randomBytes } from "node:crypto";
import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { loadSigningKeys, type SigningKeys } from "../../api/data-plane/signing-keys.ts";
import { createSigner } from "../../api/data-plane/signing.ts";
import { fromUrl } from "../../buffers/access/access.ts";
import { blobsOver } from "../../buffers/access/blob-client.ts";
import { connect, type Tyger } from "../../client/index.ts";
import type { Database } from "../../model/ports/database.ts";
import type { PumpKey } from "../../model/ports/pump-channel.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import { pumpPathOf, type PumpCommand } from "../../model/run/pump.ts";
import type { Run } from "../../model/run/run.ts";
import { openDatabase } from "../../db/database.ts";
import { newBufferId } from "../../runs/buffers.ts";
import { recordedPump } from "../../runs/pump-channel.ts";
import { hashOfToken, newPumpToken } from "../../runs/pump-token.ts";
import { createChanges } from "../../waiting/changes.ts";
import { clientOf as clientOfDatabase, createdRun } from "../db/fixture.ts";
import { eventually, turns } from "../eventually.ts";
import { testBlobs } from "../ports/blobs.ts";
import { testCodespecRoutes } from "../ports/codespec-routes.ts";
import { testDataPlane } from "../ports/data-plane.ts";
import type { HttpApi } from "../ports/http-api.ts";
import { testPumpChannel, type ChannelUnderTest } from "../ports/pump-channel.ts";
import { testSetRun } from "../ports/set-run.ts";
import { startEnd } from "../pump/end-process.ts";
import { type ApiPair, openApiPair, pairHttpApi, send } from "./api-pair.ts";

const runOf = async ({ database }: ApiPair, id: number): Promise<RunIdentity> => {
  const { uid = "" } = (await database.runs.find(id)) ?? {};
  return { id, uid };
};

/** The channel to a pump of a new run, which sends each request to the next process. */
async function openChannel({ database, databaseUrl, proxy }: ApiPair): Promise<ChannelUnderTest> {
  const pump = { run: await createdRun(database), replica: 1 };
  const token = newPumpToken();
  await database.pumps.open(pump, hashOfToken(token));
  const other = await openDatabase(databaseUrl);
  const changesOf = ({ pumps }: Database) => createChanges<PumpKey>((changed) => pumps.listen(changed));
  const [changes, otherChanges] = [changesOf(database), changesOf(other)];
  const end = startEnd({ url: `http://${proxy.host}:${proxy.port}`, path: pumpPathOf(pump.run, 1) }, token);
  return {
    channel: recordedPump(database.pumps, changes, pump),
    another: recordedPump(other.pumps, otherChanges, pump),
    pump: end,
    told: end.told,
    async lose() {
      await end.kill();
      const client = clientOfDatabase(databaseUrl);
      await client.unsafe(`update pumps set seen_at = seen_at - interval '61 s' where run_id = ${pump.run.id}`);
    },
    async interrupt() {
      proxy.cut();
    },
    async close() {
      await end.close();
      await Promise.all([changes.close(), otherChanges.close()]);
      await other.close();
    },
  };
}

const clientOf = ({ proxy }: ApiPair): Promise<Tyger> => connect({ server: `http://${proxy.host}:${proxy.port}` });

describe("two API processes behind a round-robin proxy", () => {
  let pair: ApiPair;
  let api: HttpApi;
  let keys: SigningKeys;
  beforeAll(async () => {
    pair = await openApiPair({ withWorker: false });
    api = pairHttpApi(pair);
    keys = await loadSigningKeys({ primary: pair.keyFile("first") }, "/none");
  });
  afterAll(() => pair?.close());

  const urlOf = (bufferId: string, writeable: boolean): string =>
    createSigner(
      keys,
      "/none",
    )({
      bufferId,
      writeable,
      ttlSeconds: 3600,
      baseUrl: `http://${pair.proxy.host}:${pair.proxy.port}`,
    });
  const newBuffer = async (): Promise<string> =>
    (await api.call("POST", "/buffers?api-version=1.0", { payload: {} })).json().id;

  describe("keep the contract of set", () => {
    testSetRun(() => api);
  });
  describe("keep the contract of codespecs", () => {
    testCodespecRoutes(() => api);
  });
  describe("keep the contract of the data plane", () => {
    testDataPlane(() => ({ at: { host: pair.proxy.host, port: pair.proxy.port }, newBuffer, urlOf }));
  });
  describe("keep the promises of blobs", () => {
    testBlobs(
      async () => {
        const id = await newBuffer();
        return {
          source: blobsOver(fromUrl(urlOf(id, true))),
          damage: (path) => truncate(join(pair.folder, "data/buffers", id, path.replace("/", "-")), 50_000),
        };
      },
      () => blobsOver(fromUrl(urlOf(newBufferId(), true))),
    );
  });

  describe("keep the promises of the channel to pumps", () => {
    testPumpChannel("Unknown", () => openChannel(pair));

    test("and the URLs that a pump asks for work at either", async () => {
      const { id, job } = await create();
      const run = await runOf(pair, id);
      const token = newPumpToken();
      await pair.database.pumps.open({ run, replica: 0 }, hashOfToken(token));
      const bufferId = job.buffers?.["input"] ?? "";
      const path = `${pumpPathOf(run, 0)}/buffers/${bufferId}/access?writeable=false&api-version=1.0`;
      const headers = { authorization: `Bearer ${token}` };
      const { uri } = (await api.call("POST", path, { headers })).json();
      for (const origin of pair.origins) {
        const url = new URL(uri);
        // Not there yet: credentials are checked before.
        const answer = await send(origin, "GET", `${url.pathname}/00/000${url.search}`);
        expect([answer.statusCode, answer.headers["x-ms-error-code"]]).toEqual([404, "BlobNotFound"]);
      }
      await pair.database.runs.finish(run, { status: "Canceled" });
      expect((await api.call("POST", path, { headers })).statusCode).toBe(403);
    });

    test("and lose no command while one process after the other is replaced", async () => {
      const { channel, pump, told, close } = await openChannel(pair);
      onTestFinished(close);
      expect(await pump.begin()).toBe(true);
      const replaced = pair.restart({ primary: pair.keyFile("first") });
      const given: PumpCommand[] = [];
      const giving = (async () => {
        for (let isOver = false; !isOver;) {
          isOver = await Promise.race([replaced.then(() => true), turns(1).then(() => false)]);
          const command = { command: "jobRunsOn", pipeEnds: given.length } as const;
          given.push(command);
          await channel.command(command, 0);
          await eventually(() => told.length === given.length);
        }
      })();
      await giving;
      expect(told).toEqual(given);
    });
  });

  const create = async (headers: Record<string, string> = {}): Promise<Run> => {
    const payload = { job: { codespec: { ...api.codespec, buffers: { inputs: ["input"] } } }, tags: { a: "1" } };
    const answer = await api.call("POST", "/runs?api-version=1.0", { payload, headers });
    expect(answer.statusCode).toBe(201);
    return answer.json();
  };

  test("one key makes one run, with the buffers of one request", async () => {
    const key = randomBytes(8).toString("hex");
    const runs = await Promise.all(Array.from({ length: 8 }, () => create({ "idempotency-key": key })));
    expect(new Set(runs.map(({ id }) => id)).size).toBe(1);
    expect(new Set(runs.map(({ job }) => job.buffers?.["input"])).size).toBe(1);
    const other = await create({ "idempotency-key": `${key}2` });
    expect(other.id).not.toBe(runs[0]?.id);
  });

  test("a run that one process has created is shown, listed and counted by the other in the next moment", async () => {
    const tag = randomBytes(4).toString("hex");
    for (let place = 0; place < 6; place += 1) {
      const { id } = await create();
      const [first = "", second = ""] = pair.origins;
      await send(first, "PUT", `/runs/${id}?api-version=1.0`, { payload: { tags: { [tag]: "x" } } });
      const list = await send(second, "GET", `/runs?tag[${tag}]=x&api-version=1.0`);
      expect(list.json().items[0].id).toBe(id);
      const counts = await send(second, "GET", `/runs/counts?tag[${tag}]=x&api-version=1.0`);
      expect(counts.json()).toEqual({ pending: place + 1 });
    }
  });

  test("a watch of one process shows the changes that the other makes", async () => {
    const { id } = await create();
    const [first = "", second = ""] = pair.origins;
    const lines: Run[] = [];
    const watching = (async () => {
      const { runs } = await connect({ server: first });
      for await (const run of runs.watch(id)) lines.push(run as Run);
    })();
    await eventually(() => lines.length === 1);
    await send(second, "PUT", `/runs/${id}?api-version=1.0`, { payload: { tags: { b: "2" } } });
    await eventually(() => lines.length === 2);
    await send(second, "POST", `/runs/${id}/cancel?api-version=1.0`);
    await eventually(() => lines.length === 3);
    await api.end(id);
    await watching;
    expect(lines.map(({ status, tags }) => [status, tags])).toEqual([
      ["Pending", { a: "1" }],
      ["Pending", { b: "2" }],
      ["Canceling", { b: "2" }],
      ["Succeeded", { b: "2" }],
    ]);
  });

  test("of changes of tags with one eTag at both processes, one gets through", async () => {
    const { id, ...created } = await create();
    let { eTag } = created;
    for (let round = 0; round < 10; round += 1) {
      const change = (place: number) =>
        api.call("PUT", `/runs/${id}?api-version=1.0`, {
          payload: { tags: { round: String(round), place: String(place) } },
          headers: { "if-match": eTag },
        });
      const answers = await Promise.all(Array.from({ length: 10 }, (_, place) => change(place)));
      const statuses = answers.map(({ statusCode }) => statusCode);
      expect(statuses.toSorted((one, other) => one - other)).toEqual([200, ...Array<number>(9).fill(412)]);
      const shown = (await api.call("GET", `/runs/${id}?api-version=1.0`)).json();
      expect(shown.tags).toEqual({ round: String(round), place: String(statuses.indexOf(200)) });
      ({ eTag } = shown);
    }
  });

  test("a read that waits at one process gets the blob that the other stores", async () => {
    const id = await newBuffer();
    const { pathname, search } = new URL(urlOf(id, true));
    const path = `${pathname}/00/000${search}`;
    const [first = "", second = ""] = pair.origins;
    const waiting = send(first, "GET", path, { headers: { prefer: "wait=20" } });
    await send(second, "PUT", path, { payload: "from the other" });
    expect((await waiting).body).toBe("from the other");
  });

  test("pages follow each other over both processes", async () => {
    const tag = randomBytes(4).toString("hex");
    const ids: number[] = [];
    for (let place = 0; place < 7; place += 1) {
      const { id } = await create();
      await api.call("PUT", `/runs/${id}?api-version=1.0`, { payload: { tags: { [tag]: "x" } } });
      ids.unshift(id);
    }
    const listed: number[] = [];
    const { runs } = await clientOf(pair);
    for await (const { id } of runs.list({ tags: { [tag]: "x" }, pageSize: 2 })) listed.push(id);
    expect(listed).toEqual(ids);
  });

  test("the signing key rotates, one process after the other, without refusing a URL in use", async () => {
    const id = await newBuffer();
    const access = async (): Promise<string> => {
      const answer = await api.call("POST", `/buffers/${id}/access?writeable=true&api-version=1.0`);
      if (answer.statusCode !== 201) throw new Error(`${answer.statusCode}: ${answer.body}`);
      return answer.json().uri;
    };
    const [first, second] = [pair.keyFile("first"), pair.keyFile("second")];
    const urls: string[] = [await access()];
    const refused: string[] = [];
    const rotated = new AbortController();
    const using = (async () => {
      for (let count = 0; !rotated.signal.aborted; count += 1) {
        urls.push(await access());
        const url = new URL(urls[count % urls.length] ?? "");
        const { statusCode } = await api.call("HEAD" as "GET", `${url.pathname}/00/000${url.search}`);
        // Not there: credentials are checked before.
        if (statusCode !== 404) refused.push(`${statusCode} for URL ${count}`);
      }
    })();
    await pair.restart({ primary: first, secondary: `${second}.pub` });
    await pair.restart({ primary: second, secondary: `${first}.pub` });
    rotated.abort();
    await using;
    expect(refused).toEqual([]);
    expect(urls.length).toBeGreaterThan(10);

    const before = new URL(urls[0] ?? "");
    await pair.restart({ primary: second });
    const gone = await api.call("HEAD" as "GET", `${before.pathname}/00/000${before.search}`);
    expect(gone.statusCode).toBe(403);
  });
});

describe("a run of two API processes and a worker, all behind a transaction pooler", () => {
  let pair: ApiPair;
  beforeAll(async () => {
    pair = await openApiPair({ withWorker: true });
  });
  afterAll(() => pair?.close());

  test("moves its input and output through both processes, and both give its log", async () => {
    const { runs } = await clientOf(pair);
    const codespec = {
      kind: "job" as const,
      image: inject("testImage"),
      buffers: { inputs: ["input"], outputs: ["output"] },
      command: ["bash", "-c", 'echo begun; cat "$INPUT_PIPE" > "$OUTPUT_PIPE"; echo copied'],
    };
    const input = randomBytes(9_000_000);
    const { output, ended, run } = await runs.exec({ job: { codespec } }, { input });
    const pieces: Uint8Array[] = [];
    for await (const piece of output) pieces.push(piece);
    expect(Buffer.concat(pieces).equals(input)).toBe(true);
    expect((await ended).status).toBe("Succeeded");
    for (const server of pair.origins) {
      const lines: string[] = [];
      const from = await connect({ server });
      for await (const { text } of from.runs.logs(run.id, { follow: true })) lines.push(text);
      expect(lines).toEqual(["[main] begun", "[main] copied"]);
    }
  });

  test("has its log followed at both processes while it runs, to its end", async () => {
    const { runs, buffers } = await clientOf(pair);
    const gate = await buffers.create();
    const codespec = {
      kind: "job" as const,
      image: inject("testImage"),
      buffers: { inputs: ["go"] },
      command: ["bash", "-c", 'while read -r line; do echo "$line"; done < "$GO_PIPE"'],
    };
    const { id } = await runs.create({ job: { codespec, buffers: { go: gate.id } } });
    const seen: string[][] = [[], []];
    const following = pair.origins.map(async (server, place) => {
      const from = await connect({ server });
      for await (const { text } of from.runs.logs(id, { follow: true })) seen[place]?.push(text);
    });
    const written = Promise.withResolvers<void>();
    async function* content(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("first\n");
      await written.promise;
      yield Buffer.from("second\n");
    }
    const writing = buffers.write(gate.id, content());
    await eventually(() => seen.every((lines) => lines.length === 1), { withinMs: 30_000 });
    written.resolve();
    await writing;
    await Promise.all(following);
    expect(seen).toEqual([
      ["[main] first", "[main] second"],
      ["[main] first", "[main] second"],
    ]);
  });
});
