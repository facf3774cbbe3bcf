import { createConnection, createServer, type Server } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import { clusterEngines, kubernetesClusters } from "./settings.ts";

const PROCESS_STATES = ["starting", "ready", "waiting", "stopped"] as const;

const viewSchema = z.object({
  version: z.string(),
  pid: z.number(),
  isReady: z.boolean(),
  /** Of our Temporal dev server. */
  webUi: z.string().optional(),
  /** `host:port` of our Temporal dev server, for programs. */
  temporal: z.string().optional(),
  /** `host:port` of servers that the stack uses but does not manage. */
  given: z.object({ postgres: z.string().optional(), temporal: z.string().optional() }).optional(),
  dockerHost: z.string(),
  /** Absent from the answer of an older supervisor. */
  clusters: clusterEngines.optional(),
  kubernetes: kubernetesClusters.optional(),
  /** URLs of `up --store`, the default first. Absent from the answer of an older supervisor. */
  stores: z.array(z.string()).optional(),
  apiSocket: z.string(),
  processes: z.array(
    z.object({
      name: z.string(),
      state: z.enum(PROCESS_STATES),
      pid: z.number().optional(),
      restarts: z.number(),
      lastExit: z.string().optional(),
      logFile: z.string(),
    }),
  ),
});

/** Checked when it arrives: the supervisor can be of another version. */
export type StackView = z.infer<typeof viewSchema>;
export type ProcessView = StackView["processes"][number];
export type ProcessState = ProcessView["state"];

const requestSchema = z.object({ op: z.enum(["status", "stop"]) });
type Operation = z.infer<typeof requestSchema>["op"];

export const controlSocketOf = (runtimeDir: string): string => join(runtimeDir, "supervisor.sock");

/** Answers each JSON line on `socketPath` with the state of the stack; for `stop`, the state after it. */
export function serveControl(socketPath: string, answer: (op: Operation) => Promise<StackView>): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    createInterface({ input: socket }).on("line", (line) => {
      let op: Operation;
      try {
        ({ op } = requestSchema.parse(JSON.parse(line)));
      } catch {
        socket.destroy();
        return;
      }
      answer(op).then(
        (view) => socket.end(`${JSON.stringify(view)}\n`),
        () => socket.destroy(),
      );
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(socketPath, () => resolve(server));
  });
}

/** Never throws: undefined if no supervisor answers within `timeoutMs`. */
export function askSupervisor(socketPath: string, op: Operation, timeoutMs: number): Promise<StackView | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection(socketPath);
    let text = "";
    socket.setTimeout(timeoutMs, () => socket.destroy());
    socket.on("data", (chunk) => (text += chunk.toString()));
    // An error or a timeout is followed by a close.
    socket.once("error", () => {});
    socket.once("close", () => {
      try {
        resolve(viewSchema.parse(JSON.parse(text)));
      } catch {
        resolve(undefined);
      }
    });
    socket.write(`${JSON.stringify({ op })}\n`);
  });
}
