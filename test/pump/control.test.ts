import { connect, type Socket } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { PumpCommand } from "../../model/run/pump.ts";
import { commandOf, Control } from "../../pump/control.ts";
import { eventually } from "../eventually.ts";

let folder: string;
let path: string;
let told: PumpCommand[];
let control: Control;
const clients: Socket[] = [];

function client(): { socket: Socket; said: () => string } {
  const socket = connect(path);
  let said = "";
  socket.on("data", (data: Buffer) => (said += data.toString())).on("error", () => {});
  clients.push(socket);
  return { socket, said: () => said };
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "pump-control-"));
  path = join(folder, "s");
  told = [];
  control = new Control((command) => told.push(command));
  await control.listen(path);
});
afterEach(async () => {
  for (const socket of clients.splice(0)) socket.destroy();
  await control.leave({ phase: "Succeeded" });
  rmSync(folder, { recursive: true, force: true });
});

test("every client receives the state on connection, on each change, and at the end", async () => {
  const first = client();
  await eventually(() => first.said() === `{"phase":"Running"}\n`);
  control.show({ phase: "Failed", message: "x" });
  const second = client();
  await eventually(() => second.said() === `{"phase":"Failed","message":"x"}\n`);
  const ended = Promise.all([first, second].map(({ socket }) => new Promise((resolve) => socket.on("end", resolve))));
  await control.leave({ phase: "Failed", message: "x" });
  await ended;
  expect(first.said().split("\n")).toHaveLength(4);
});

test("commands arrive whole however they are split, and garbage is harmless", async () => {
  const { socket } = client();
  socket.write(`nonsense\n\n[]\n{"command":"rm -rf"}\n{"command":"jobE`);
  const other = client();
  other.socket.write("x".repeat(100_000));
  await eventually(() => other.socket.destroyed);
  socket.write(`nded"}\n{"command":"stop"}\n`);
  await eventually(() => told.length === 2);
  expect(told).toEqual([{ command: "jobEnded" }, { command: "stop" }]);
});

test("a second pump does not get the socket", async () => {
  expect(await new Control(() => {}).listen(path)).toBe(false);
});

test.each([
  [`{"command":"abandon","more":1}`, { command: "abandon" }],
  [`{"command":"jobEnded"}`, { command: "jobEnded" }],
  [`{"command":"jobEnded","cutOff":false}`, { command: "jobEnded" }],
  [`{"command":"jobEnded","cutOff":true}`, { command: "jobEnded", cutOff: true }],
  [`{"command":"jobEnded","cutOff":"unknown"}`, { command: "jobEnded", cutOff: true }],
  [`{"command":"jobRunsOn","pipeEnds":2}`, { command: "jobRunsOn", pipeEnds: 2 }],
  [`{"command":"jobRunsOn","pipeEnds":-1}`, undefined],
  [`{"command":"jobRunsOn"}`, undefined],
  [`{"command":5}`, undefined],
  ["null", undefined],
  ["", undefined],
])("the line %s is the command %o", (line, command) => {
  expect(commandOf(line)).toEqual(command);
});
