import type { Caller } from "../../model/caller.ts";
import { CodedError } from "../../model/errors.ts";
import { pumpKeyOf, type PumpAddress, type PumpKey, type PumpRecords } from "../../model/ports/pump-channel.ts";
import type { RunRecords } from "../../model/ports/records.ts";
import { canAccess } from "../../model/run/outputs.ts";
import { parseFarewell, parsePoll, type PumpOrders } from "../../model/run/pump-messages.ts";
import { hashOfToken } from "../../runs/pump-token.ts";
import type { Changes } from "../../waiting/changes.ts";
import type { BufferService } from "./buffer-service.ts";

/** A pump as its request names it, with the token that the request has. */
export interface PumpCaller extends PumpAddress {
  token: string;
}

/** The side of the pump channel that faces the pumps. It keeps nothing: any API process can answer any request. */
export interface PumpService {
  /**
   * Takes the pump's report and gives its next commands, for which it waits up to `waitMs`, or until `signal` is aborted.
   * @throws CodedError AuthenticationFailed, BadRequest, Conflict
   */
  poll(pump: PumpCaller, message: unknown, waitMs: number, signal: AbortSignal): Promise<PumpOrders>;
  /** Takes the pump's result. @throws CodedError AuthenticationFailed, BadRequest, Conflict */
  finish(pump: PumpCaller, message: unknown): Promise<void>;
  /** A signed URL of a buffer of the pump's run. @throws CodedError AuthenticationFailed, Forbidden, NotFound, InvalidInput */
  access(pump: PumpCaller, bufferId: string, query: Parameters<BufferService["access"]>[2]): Promise<string>;
  /** Answers the polls that wait. */
  close(): void;
}

export interface PumpServicePorts {
  records: PumpRecords;
  changes: Changes<PumpKey>;
  runs: Pick<RunRecords, "load">;
  buffers: Pick<BufferService, "access">;
}

export function createPumpService({ records, changes, runs, buffers }: PumpServicePorts): PumpService {
  const closing = new AbortController();
  return {
    async poll({ token, ...pump }, message, waitMs, signal) {
      const poll = parsePoll(message) ?? unreadable();
      const endMs = Date.now() + waitMs;
      const ended = AbortSignal.any([signal, closing.signal]);
      const changed = changes.subscribe(pumpKeyOf(pump));
      try {
        for (;;) {
          const orders = await records.poll(pump, hashOfToken(token), poll);
          const leftMs = endMs - Date.now();
          if (orders.commands.length > 0 || leftMs <= 0 || ended.aborted) return orders;
          await changed.changed(leftMs, ended);
        }
      } finally {
        changed.close();
      }
    },

    async finish({ token, ...pump }, message) {
      await records.finish(pump, hashOfToken(token), parseFarewell(message) ?? unreadable());
    },

    async access({ token, ...pump }, bufferId, query) {
      await records.authenticate(pump, hashOfToken(token));
      const { job } = await runs.load(pump.run);
      if (!canAccess(job, bufferId, query.writeable)) {
        throw new CodedError(
          "Forbidden",
          `The buffer '${bufferId}' is not ${query.writeable ? "an output" : "one"} of the run`,
        );
      }
      return buffers.access(callerOf(pump), bufferId, query);
    },

    close: () => closing.abort(),
  };
}

const callerOf = ({ run, replica }: PumpAddress): Caller => ({
  subject: `pump ${replica} of run ${run.id}`,
  roles: ["contributor"],
});

function unreadable(): never {
  throw new CodedError("BadRequest", "The message of the pump cannot be read");
}
