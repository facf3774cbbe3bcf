import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";

/** A proxy that sends each request to the next of several servers, as a load balancer does. */
export interface RoundRobin {
  host: string;
  port: number;
  /** `http://host:port` of each server; a test can change them. */
  targets: string[];
  /** Breaks every connection to a client. */
  cut(): void;
  close(): Promise<void>;
}

export async function startRoundRobin(): Promise<RoundRobin> {
  const targets: string[] = [];
  let count = 0;
  const server = createServer((incoming, outgoing) => {
    const { hostname, port } = new URL(targets[count++ % targets.length] ?? "http://none");
    const { method = "GET", url: path = "/", rawHeaders: headers } = incoming;
    const forwarded = request({ hostname, port, method, path, headers, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.statusMessage, answer.rawHeaders);
      // A watch or a log can be silent for long after its headers.
      outgoing.flushHeaders();
      answer.pipe(outgoing);
      answer.on("error", () => outgoing.destroy());
    });
    forwarded.on("error", () => outgoing.destroy());
    incoming.pipe(forwarded);
    outgoing.on("close", () => forwarded.destroy());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    targets,
    cut: () => server.closeAllConnections(),
    async close() {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}
