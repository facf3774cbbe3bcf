import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { PUMP_FILES, type PumpApi, type PumpCommand, type PumpSpec } from "../../model/run/pump.ts";
import type { PumpEnd } from "../../pump/channel-end.ts";
import { eventually } from "../eventually.ts";
import type { Order, Said } from "./end-main.ts";

const MAIN = resolve(import.meta.dirname, "end-main.ts");

/** The pump's end of a channel in a process of its own, which can be killed. */
export interface EndProcess extends PumpEnd {
  folder: string;
  /** The commands that it got. */
  told: PumpCommand[];
  /** Why it was refused, if it was. */
  refused: string[];
  suspend(): void;
  resume(): void;
  kill(): Promise<void>;
  /** Kills it and removes its folder. */
  close(): Promise<void>;
}

/** `api` and `token`: for an end that speaks to our API. */
export function startEnd(api?: Omit<PumpApi, "tokenFile">, token = ""): EndProcess {
  const folder = mkdtempSync(join(tmpdir(), "pump-end-"));
  const spec: PumpSpec = {
    runId: 1,
    buffers: { storeDir: "/nowhere" },
    pipes: [],
    ...(api && { channel: { ...api, tokenFile: "token" } }),
  };
  writeFileSync(join(folder, PUMP_FILES.spec), JSON.stringify(spec));
  writeFileSync(join(folder, "token"), `${token}\n`);
  const child = fork(MAIN, [folder], { stdio: "inherit", execArgv: [] });
  const exited = once(child, "exit");
  const said: Said[] = [];
  child.on("message", (one: Said) => {
    if ("told" in one) end.told.push(one.told);
    else if ("refused" in one) end.refused.push(one.refused);
    else said.push(one);
  });
  const order = (one: Order): void => void child.send(one);
  const end: EndProcess = {
    folder,
    told: [],
    refused: [],
    async begin() {
      order({ begin: true });
      const answer = await eventually(() => said.find((one) => "began" in one), { withinMs: 15_000 });
      return answer.began;
    },
    show: (show) => order({ show }),
    async leave(leave) {
      order({ leave });
      await eventually(() => said.some((one) => "left" in one));
    },
    suspend: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
    async close() {
      await end.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return end;
}
