import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The real engine behind a socket that a test can break. */
export interface FlakyEngine {
  dockerHost: string;
  /** Breaks all connections off; they may be made anew at once. */
  cut(): void;
  /** As long as it is set, nobody answers. */
  isDown: boolean;
  /** Requests whose answer is lost although the engine carries them out; each time one is used up. */
  loseAnswersTo: RegExp[];
  close(): Promise<void>;
}

export async function openFlakyEngine(): Promise<FlakyEngine> {
  const dir = await mkdtemp(join(tmpdir(), "tyger-flaky-"));
  const path = join(dir, "docker.sock");
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    if (flaky.isDown) return client.destroy();
    clients.add(client);
    const engine = connect("/var/run/docker.sock");
    let isLost = false;
    const close = (): void => {
      clients.delete(client);
      client.destroy();
      engine.destroy();
    };
    for (const socket of [client, engine]) socket.on("error", close).on("close", close);
    client.once("data", (bytes) => {
      const index = flaky.loseAnswersTo.findIndex((pattern) => pattern.test(bytes.toString()));
      isLost = index >= 0;
      if (isLost) flaky.loseAnswersTo.splice(index, 1);
    });
    client.on("data", (bytes) => engine.write(bytes));
    engine.on("data", (bytes) => {
      if (isLost) close();
      else if (!client.write(bytes)) engine.pause();
    });
    client.on("drain", () => engine.resume());
  });
  const flaky: FlakyEngine = {
    dockerHost: `unix://${path}`,
    cut: () => {
      for (const client of clients) client.destroy();
    },
    isDown: false,
    loseAnswersTo: [],
    close: async () => {
      flaky.cut();
      server.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
  await new Promise<void>((resolve) => void server.listen(path, resolve));
  return flaky;
}
