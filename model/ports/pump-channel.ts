import type { RunIdentity } from "../run/identity.ts";
import type { PumpState } from "../run/lifecycle.ts";
import type { PumpCommand, PumpReport, PumpResult } from "../run/pump.ts";
import type { PumpFarewell, PumpOrders, PumpPoll } from "../run/pump-messages.ts";

/**
 * The state of a pump as a channel can see it. `Unknown`: the pump has sent nothing for a while, and the channel cannot tell whether it is
 * dead: only its engine can.
 */
export type PumpSight = PumpState | { phase: "Unknown" };

/**
 * How we speak to the pump of one replica. Any number of processes can use it at once. `Sight` is the range of its answers: on one
 * machine a pump is never `Unknown`.
 */
export interface PumpChannel<Sight extends PumpSight = PumpSight> {
  /** @throws CodedError Unavailable when nothing can be found out for the moment */
  state(): Promise<Sight>;
  /**
   * Gives the pump a command and waits up to `withinMs` for the outcome: its result or failure, else what {@link state} gives.
   * Giving it twice is harmless. A pump gets the commands of one sender in their order.
   * @throws CodedError Unavailable
   */
  command(command: PumpCommand, withinMs: number): Promise<Sight>;
  /**
   * Passes each report of the pump to `heard`, the present one first.
   * @returns undefined when the pump has ended: `state` says how
   * @throws CodedError Unavailable
   */
  follow(heard: (report: PumpReport) => void): Promise<PumpLink | undefined>;
}

/** An open connection to a pump. */
export interface PumpLink {
  /** A command that is lost with the connection has to be given again. */
  send(command: PumpCommand): void;
  close(): void;
  /** Settles when the connection is closed, from whichever side; never rejects. */
  closed: Promise<void>;
}

/** A pump that speaks to our API. Only the one pump of a replica does, whichever attempt started it. */
export interface PumpAddress {
  run: RunIdentity;
  replica: number;
}

/** An address as notifications and subscriptions have it: the run is one of this database. */
export type PumpKey = `${number}/${number}`;
export const pumpKeyOf = ({ run, replica }: PumpAddress): PumpKey => `${run.id}/${replica}`;

/** The last messages of a pump to our API. */
export interface PumpRecord {
  /** The last report; absent before the first one. */
  report?: PumpReport;
  result?: PumpResult;
  /** The pump has sent something within the time in which a live one does, by the database's clock. */
  isHeard: boolean;
}

/**
 * Messages between pumps and the processes that speak to them, kept in Postgres. A token is valid for its replica of its run,
 * while that run is open.
 */
export interface PumpRecords {
  /**
   * The pump of the replica is the one with this token. With another token than before it is another pump: the former one is
   * refused from now on, and nothing of it is kept.
   * @throws CodedError NotFound for an unknown run, Conflict when the former one has left a result
   */
  open(pump: PumpAddress, tokenHash: string): Promise<void>;
  /** Undefined when no pump was opened. */
  find(pump: PumpAddress): Promise<PumpRecord | undefined>;
  /** Keeps a command until the pump has it. One that it already has, or a pump that has left its result, changes nothing. */
  addCommand(pump: PumpAddress, command: PumpCommand): Promise<void>;
  /** @throws CodedError AuthenticationFailed */
  authenticate(pump: PumpAddress, tokenHash: string): Promise<void>;
  /**
   * Records what the pump says, and gives the commands that it has not heard. The first process that asks speaks for the pump.
   * @throws CodedError AuthenticationFailed; Conflict for another process, or when there is a result
   */
  poll(pump: PumpAddress, tokenHash: string, poll: PumpPoll): Promise<PumpOrders>;
  /**
   * Records the result once. The same one again changes nothing.
   * @throws CodedError AuthenticationFailed; Conflict for another process or another result
   */
  finish(pump: PumpAddress, tokenHash: string, farewell: PumpFarewell): Promise<void>;
  /** Calls `changed` for each pump with a new command, report or result, and with undefined when some can be missing. */
  listen(changed: (pump: PumpKey | undefined) => void): Promise<{ close(): Promise<void> }>;
}

/** The pumps that speak to our API, for a backend that starts them where no worker can reach them. */
export interface ApiPumps {
  /** A secret for one pump. */
  newToken(): string;
  /** As {@link PumpRecords.open}, for the pump that has this token. */
  open(pump: PumpAddress, token: string): Promise<void>;
  /** Whether the replica has a pump. */
  has(pump: PumpAddress): Promise<boolean>;
  channelTo(pump: PumpAddress): PumpChannel;
}
