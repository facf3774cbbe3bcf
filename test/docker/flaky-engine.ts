import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The real engine behind a socket that a test can break. */
export interface FlakyEngine {
  dockerHost: string;
  /** Breaks all connections; clients can reconnect at once. */
  cut(): void;
  /** While it is set, every connection is refused. */
  isDown: boolean;
  /** Connections refused while it was down. */
  refusals: number;
  /** Requests whose answer is lost although the engine carries them out; each time one is used up. */
  loseAnswersTo: RegExp[];
  /** Requests that another program answers, or an engine that does not know what it has; for as long as they are here. */
  answerInstead: { pattern: RegExp; status: number; body: string }[];
  /** The first line of each request. */
  requests: string[];
  /** Holds the next request that matches, before or after the engine has carried it out. */
  hold(pattern: Pick<RegExp, "test">, what: "request" | "answer"): Held;
  close(): Promise<void>;
}

export interface Held {
  /** The request has come, or its answer. */
  reached: Promise<void>;
  release: () => void;
}

interface Hold {
  pattern: Pick<RegExp, "test">;
  what: "request" | "answer";
  reach: () => void;
  released: Promise<void>;
}

export async function openFlakyEngine(): Promise<FlakyEngine> {
  const dir = await mkdtemp(join(tmpdir(), "tyger-flaky-"));
  const path = join(dir, "docker.sock");
  const clients = new Set<Socket>();
  const holds: Hold[] = [];
  const server = createServer((client) => {
    if (flaky.isDown) {
      flaky.refusals += 1;
      return client.destroy();
    }
    clients.add(client);
    const engine = connect("/var/run/docker.sock");
    let isLost = false;
    const close = (): void => {
      clients.delete(client);
      client.destroy();
      engine.destroy();
    };
    for (const socket of [client, engine]) socket.on("error", close);
    client.on("close", close);
    // Not before an answer that is held.
    engine.on("close", () => void answering.then(close));
    client.once("data", (bytes) => {
      const [line = ""] = bytes.toString().split("\r\n", 1);
      flaky.requests.push(line);
      const instead = flaky.answerInstead.find(({ pattern }) => pattern.test(line));
      if (instead) {
        const { status, body } = instead;
        engine.destroy();
        client.end(
          `HTTP/1.1 ${status} x\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
        );
        return;
      }
      const index = flaky.loseAnswersTo.findIndex((pattern) => pattern.test(bytes.toString()));
      isLost = index >= 0;
      if (isLost) flaky.loseAnswersTo.splice(index, 1);
    });
    // One after the other, also where a part is held.
    let sending = Promise.resolve();
    let answering = Promise.resolve();
    client.on("data", (bytes) => {
      const index = holds.findIndex(({ pattern }) => pattern.test(bytes.toString()));
      const [held] = index < 0 ? [] : holds.splice(index, 1);
      if (held?.what === "request") sending = sending.then(() => gate(held));
      if (held?.what === "answer") answering = new Promise((resolve) => engine.once("data", () => resolve(gate(held))));
      sending = sending.then(() => void engine.write(bytes));
    });
    engine.on("data", (bytes) => {
      if (isLost) return close();
      answering = answering.then(() => {
        if (!client.write(bytes)) engine.pause();
      });
    });
    client.on("drain", () => engine.resume());
  });
  const flaky: FlakyEngine = {
    dockerHost: `unix://${path}`,
    cut: () => {
      for (const client of clients) client.destroy();
    },
    isDown: false,
    refusals: 0,
    loseAnswersTo: [],
    answerInstead: [],
    requests: [],
    hold(pattern, what) {
      const reached = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      holds.push({ pattern, what, reach: reached.resolve, released: released.promise });
      return { reached: reached.promise, release: released.resolve };
    },
    close: async () => {
      flaky.cut();
      server.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
  await new Promise<void>((resolve) => void server.listen(path, resolve));
  return flaky;
}

function gate({ reach, released }: Hold): Promise<void> {
  reach();
  return released;
}
