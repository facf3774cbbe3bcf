import { readFileSync, renameSync, writeFileSync, openSync, constants } from "node:fs";
import { createServer, type Socket } from "node:net";

/**
 * A pump that moves no bytes: it opens the outputs, so that jobs can write, and gives the result that its commands ask
 * for. Parameters say how it behaves: `dies` exits at once, `deaf` never ends, `fails` fails while its job runs,
 * `slow` has bytes to move for a second after its job, `slower` for three.
 */
process.chdir(process.argv[2] ?? "");
const spec = JSON.parse(readFileSync("pump.json", "utf8")) as { pipes: { parameter: string; direction: string }[] };
const has = (parameter: string): boolean => spec.pipes.some((pipe) => pipe.parameter === parameter);
if (has("dies")) {
  process.stderr.write("no such luck\n");
  process.exit(3);
}
for (const { parameter, direction } of spec.pipes) {
  if (direction === "output") openSync(`pipes/${parameter}.pipe`, constants.O_RDONLY | constants.O_NONBLOCK);
}

const clients = new Set<Socket>();
const state = has("fails") ? { phase: "Failed", message: "The input broke" } : { phase: "Running" };
const server = createServer((client) => {
  clients.add(client);
  client.on("error", () => client.destroy());
  client.on("close", () => clients.delete(client));
  client.write(`${JSON.stringify(state)}\n`);
  client.on("data", (bytes) => {
    for (const line of bytes.toString().split("\n").filter(Boolean)) {
      obey((JSON.parse(line) as { command: string }).command);
    }
  });
});
server.listen("pump.sock");

function obey(command: string): void {
  if (command === "abandon") process.exit(0);
  if (has("deaf")) return;
  const storingMs = has("slow") ? 1000 : has("slower") ? 3000 : 0;
  if (command === "jobEnded" && storingMs > 0) setTimeout(() => finish(command), storingMs);
  else finish(command);
}

function finish(command: string): void {
  const result =
    command === "stop" || has("fails")
      ? has("fails")
        ? { status: "Failed", message: "The input broke" }
        : { status: "Failed", message: "The run was stopped", cutOff: true }
      : { status: "Succeeded" };
  writeFileSync("result.json.new", JSON.stringify(result));
  renameSync("result.json.new", "result.json");
  const { status: phase, ...rest } = result;
  for (const client of clients) client.end(`${JSON.stringify({ phase, ...rest })}\n`);
  setTimeout(() => process.exit(0), 10);
}
