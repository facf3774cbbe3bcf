import { createServer, type Server, type Socket } from "node:net";
import { errnoOf } from "../model/errors.ts";
import type { PumpCommand, PumpReport } from "../model/run/pump.ts";
import { parseCommand } from "../model/run/pump-messages.ts";
import { atMost } from "../waiting/bounded.ts";

/** Longer than any command: a client that sends more without a line end is not ours. */
const LINE_LIMIT = 4096;
/** How long a client that does not read can delay the exit. */
const FAREWELL_MS = 1000;

/**
 * The socket of a pump: {@link PumpCommand} lines in, {@link PumpReport} lines out. It accepts any number of clients and
 * ignores lines that are not commands.
 */
export class Control {
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  #state: PumpReport = { phase: "Running" };

  constructor(onCommand: (command: PumpCommand) => void) {
    this.#server = createServer((client) => {
      this.#clients.add(client);
      client.on("close", () => this.#clients.delete(client));
      client.on("error", () => client.destroy());
      client.write(lineOf(this.#state));
      onLine(client, (line) => {
        const command = commandOf(line);
        if (command) onCommand(command);
      });
    });
  }

  /** False if another process has, or had, this socket: the attempt belongs to that one. */
  listen(path: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", (err) => (errnoOf(err) === "EADDRINUSE" ? resolve(false) : reject(err)));
      this.#server.listen(path, () => resolve(true));
    });
  }

  /** Sends the state to every client, including future ones. */
  show(state: PumpReport): void {
    this.#state = state;
    for (const client of this.#clients) client.write(lineOf(state));
  }

  /** Sends the last state and resolves when the clients have received it. */
  async leave(state: PumpReport): Promise<void> {
    this.#server.close();
    this.show(state);
    const told = [...this.#clients].map((client) => new Promise<void>((resolve) => void client.end(() => resolve())));
    await atMost(FAREWELL_MS, Promise.all(told));
  }
}

const lineOf = (state: PumpReport): string => `${JSON.stringify(state)}\n`;

function onLine(client: Socket, handle: (line: string) => void): void {
  let pending = "";
  client.setEncoding("utf8");
  client.on("data", (text: string) => {
    const lines = (pending + text).split("\n");
    pending = lines.pop() ?? "";
    for (const line of lines) handle(line);
    if (pending.length > LINE_LIMIT) client.destroy();
  });
}

/** The command in `line`; undefined for anything else. */
export function commandOf(line: string): PumpCommand | undefined {
  try {
    return parseCommand(JSON.parse(line));
  } catch {
    return undefined;
  }
}
