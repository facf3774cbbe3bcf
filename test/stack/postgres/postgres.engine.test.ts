import { readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readStackConfig } from "../../../config/stack.ts";
import { settleDatabase } from "../../../stack/services.ts";
import { KeptProcess } from "../../../stack/supervisor/kept-process.ts";
import { postgresSpec } from "../../../stack/postgres/postgres.ts";
import { processesIn } from "../../../stack/host/processes.ts";
import { eventually } from "../../eventually.ts";

const commandLine = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, "utf8");

let home: string;
let kept: KeptProcess;
let settled: Awaited<ReturnType<typeof settleDatabase>> & { kind: "embedded" };
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "tyger-pg-"));
  await chmod(home, 0o711);
  const env = { HOME: process.env["HOME"], PATH: process.env["PATH"], TYGER_DATA_DIR: home };
  const config = readStackConfig(env);
  await mkdir(config.paths.stateDir, { recursive: true });
  const found = await settleDatabase(config, () => {});
  if (found.kind !== "embedded") throw new Error("This test wants a Postgres of its own");
  settled = found;
  kept = new KeptProcess(postgresSpec(settled, join(home, "postgres.log")), { onChange: () => {}, log: () => {} });
  await kept.start();
});
afterAll(async () => {
  await kept?.stop();
  await rm(home, { recursive: true, force: true });
});

test("after kill -9 of its first process, with a session at work, Postgres is back and lost nothing", async () => {
  const sql = postgres(settled.url, { max: 2, onnotice: () => {} });
  await sql`create table kept (n int)`;
  await sql`insert into kept values (42)`;
  // It computes and so does not notice that its parent is gone: it would hold the shared memory for minutes.
  const busy = sql`select count(*) from generate_series(1, 10000000000)`.catch(() => "cut off");
  await eventually(() => processesIn(settled.dataDir).some(({ pid }) => commandLine(pid).includes("SELECT")));
  const { pid } = kept.view();
  process.kill(pid ?? 0, "SIGKILL");
  await eventually(() => kept.view().state === "ready" && kept.view().pid !== pid, { withinMs: 30_000 });
  expect(await busy).toBe("cut off");
  expect([...(await sql`select n from kept`)]).toEqual([{ n: 42 }]);
  await sql.end({ timeout: 1 });
});

test("nobody gets in without the password", async () => {
  const url = new URL(settled.url);
  url.password = "wrong";
  const sql = postgres(url.href, { max: 1 });
  await expect(sql`select 1`).rejects.toThrow("password authentication failed");
  await sql.end({ timeout: 1 });
});

test("a server that was stopped leaves no process behind", async () => {
  await kept.stop();
  expect(processesIn(settled.dataDir)).toEqual([]);
});
