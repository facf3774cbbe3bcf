import { rmSync } from "node:fs";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { createDataPlane } from "../../api/data-plane/data-plane.ts";
import { pumpRoutes } from "../../api/data-plane/pump-routes.ts";
import { createPumpService } from "../../api/services/pump-service.ts";
import { notFound } from "../../model/errors.ts";
import { pumpKeyOf, type PumpAddress, type PumpChannel, type PumpKey } from "../../model/ports/pump-channel.ts";
import { pumpPathOf, type PumpApi, type PumpPipe, type PumpResult } from "../../model/run/pump.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { recordedPump } from "../../runs/pump-channel.ts";
import { hashOfToken, newPumpToken } from "../../runs/pump-token.ts";
import { createChanges } from "../../waiting/changes.ts";
import type { TestDataPlane } from "../data-plane.ts";
import { createFakePumpRecords, type FakePumpRecords } from "../fakes/pump-records.ts";

/** A pump that was opened: its token, and the channel to it. */
export interface OpenedPump {
  pump: PumpAddress;
  token: string;
  access: Omit<PumpApi, "tokenFile">;
  channel: PumpChannel;
  resultOf(): PumpResult | undefined;
}

/** The part of the API that pumps use, over a socket and records in memory. */
export interface PumpTestApi {
  socketPath: string;
  records: FakePumpRecords;
  /** `path?query` of each request for a signed URL. */
  asked: string[];
  /** The log lines of the API. */
  logged: string[];
  /** Called before each answer to a pump is sent; it can break the connection. */
  beforeAnswer: (path: string, cut: () => void) => void;
  /** Opens the pump of a new run with these pipes. */
  open(pipes: readonly PumpPipe[]): Promise<OpenedPump>;
  isListening: boolean;
  /** Stops answering, like a killed server; `listen` starts it again at the same place. */
  stop(): Promise<void>;
  listen(): Promise<void>;
  close(): Promise<void>;
}

export function startPumpApi(plane: TestDataPlane, socketPath: string, ttlSeconds: () => number): PumpTestApi {
  const records = createFakePumpRecords();
  const runs = new Map<number, RunRecord>();
  const changes = createChanges<PumpKey>((changed) => records.listen(changed));
  const buffers: Parameters<typeof createPumpService>[0]["buffers"] = {
    async access(_caller, id, { writeable }) {
      if (!(await plane.store.exists(id))) throw notFound();
      return plane.urlOf(id, writeable, ttlSeconds());
    },
  };
  const create = (): FastifyInstance => {
    const log = pino({ level: "trace" }, { write: (line: string) => void api.logged.push(line) });
    const app = createDataPlane({
      store: plane.store,
      verify: () => {
        throw notFound();
      },
      log,
    });
    const load = async ({ id }: { id: number }): Promise<RunRecord> => runs.get(id) ?? notThere();
    const service = createPumpService({ records, changes, runs: { load }, buffers });
    app.addHook("onRequest", async (req) => {
      if (req.url.includes("/access")) api.asked.push(req.url);
    });
    app.addHook("onSend", async (req, reply, payload) => {
      api.beforeAnswer(req.url, () => reply.raw.destroy());
      return payload;
    });
    void app.register(pumpRoutes(service, { baseUrlFor: () => undefined }));
    return app;
  };
  let running: FastifyInstance | undefined;

  const api: PumpTestApi = {
    socketPath,
    records,
    asked: [],
    get isListening() {
      return running !== undefined;
    },
    logged: [],
    beforeAnswer: () => {},
    async open(pipes) {
      const id = runs.size + 1;
      const pump: PumpAddress = { run: { id, uid: `uid${id}` }, replica: 0 };
      runs.set(id, runOf(pump, pipes));
      records.add(pump.run);
      const token = newPumpToken();
      await records.open(pump, hashOfToken(token));
      return {
        pump,
        token,
        access: { url: `http+unix://${socketPath}:`, path: pumpPathOf(pump.run, pump.replica) },
        channel: recordedPump(records, changes, pump),
        resultOf: () => records.rows.get(pumpKeyOf(pump))?.result,
      };
    },
    async stop() {
      const stopped = running;
      running = undefined;
      await stopped?.close();
    },
    async listen() {
      rmSync(socketPath, { force: true });
      running = create();
      await running.listen({ path: socketPath });
    },
    async close() {
      await api.stop();
      await changes.close();
    },
  };
  return api;
}

function notThere(): never {
  throw notFound();
}

function runOf({ run }: PumpAddress, pipes: readonly PumpPipe[]): RunRecord {
  const namesOf = (direction: PumpPipe["direction"]): string[] =>
    pipes.filter((pipe) => pipe.direction === direction).map(({ parameter }) => parameter);
  return {
    ...run,
    cluster: "docker",
    replicaCount: 1,
    eTag: "1",
    status: "Running",
    createdAt: "2026-01-01T00:00:00+00:00",
    job: {
      codespec: { kind: "job", image: "image", buffers: { inputs: namesOf("input"), outputs: namesOf("output") } },
      buffers: Object.fromEntries(pipes.map(({ parameter, bufferId }) => [parameter, bufferId])),
    },
    timeoutSeconds: 600,
    bufferAccessTtl: "01:00:00",
    revision: 0,
  };
}
