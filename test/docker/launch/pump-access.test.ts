import { mkdir, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { attemptFoldersOf, runFolderOf } from "../../../docker/launch/attempt-folder.ts";
import { placePipes } from "../../../docker/launch/pump-access.ts";
import type { PumpAddress } from "../../../model/ports/pump-channel.ts";
import type { PumpPipe } from "../../../model/run/pump.ts";
import type { RunRecord } from "../../../model/run/run.ts";

let runsDir: string;
let opened: [PumpAddress, string][];
let tokens: number;
const run = { id: 7, uid: "x", bufferAccessTtl: "00:10:00" } as RunRecord;
const pipe = (bufferId: string): PumpPipe => ({ parameter: bufferId, direction: "input", bufferId });
beforeEach(async () => {
  runsDir = await mkdtemp(join(tmpdir(), "tyger-runs-"));
  await mkdir(runFolderOf(runsDir, run));
  opened = [];
  tokens = 0;
});
afterEach(() => rm(runsDir, { recursive: true }));

const ports = (replica: number) => ({
  runsDir,
  replica,
  placeOf: async (bufferId: string) => (bufferId.startsWith("local") ? { storeDir: "/store" } : undefined),
  dataPlane: {
    url: "http+unix:///data.sock:",
    pumps: {
      newToken: () => `token ${(tokens += 1)}`,
      open: async (pump: PumpAddress, token: string) => void opened.push([pump, token]),
    },
  },
});

test("buffers in folders need no access", async () => {
  const placed = await placePipes(ports(0), run, [pipe("local1")]);
  expect(placed).toEqual([{ ...pipe("local1"), place: { storeDir: "/store" } }]);
  expect([opened, tokens]).toEqual([[], 0]);
});

test("others are reached by URLs, for which the pump asks with a token that only its user can read", async () => {
  const tokenFile = join(runFolderOf(runsDir, run), ".token-1");
  const api = { url: "http+unix:///data.sock:", path: "/pumps/7-x/1", tokenFile };
  const placed = await placePipes(ports(1), run, [pipe("local1"), pipe("far")]);
  expect(placed.map(({ place }) => place)).toEqual([{ storeDir: "/store" }, { api, accessTtl: "00:10:00" }]);
  expect(await readFile(tokenFile, "utf8")).toBe("token 1");
  expect((await stat(tokenFile)).mode & 0o777).toBe(0o600);
  expect(opened).toEqual([[{ run: { id: 7, uid: "x" }, replica: 1 }, "token 1"]]);
});

test("each attempt has the token of the first, so that it shuts out none, and replicas have their own", async () => {
  for (const replica of [0, 0, 1]) await placePipes(ports(replica), run, [pipe("far")]);
  expect(opened.map(([{ replica }, token]) => [replica, token])).toEqual([
    [0, "token 1"],
    [0, "token 1"],
    [1, "token 3"],
  ]);
  expect(await attemptFoldersOf(runsDir, run)).toEqual([]);
});

test("a worker that does not know the data plane cannot launch them", async () => {
  const placed = placePipes({ ...ports(0), dataPlane: undefined }, run, [pipe("far")]);
  await expect(placed).rejects.toMatchObject({ code: "LaunchFailed" });
});
