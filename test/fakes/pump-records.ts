import { CodedError, notFound } from "../../model/errors.ts";
import { pumpKeyOf, type PumpAddress, type PumpKey, type PumpRecords } from "../../model/ports/pump-channel.ts";
import { textOf, type RunIdentity } from "../../model/run/identity.ts";
import type { PumpCommand, PumpReport, PumpResult } from "../../model/run/pump.ts";

interface Row {
  tokenHash: string;
  instance?: string;
  commands: PumpCommand[];
  sequence: number;
  report?: PumpReport;
  result?: PumpResult;
  isHeard: boolean;
}

/** The records of pumps in memory, with handles for tests. */
export interface FakePumpRecords extends PumpRecords {
  rows: Map<PumpKey, Row>;
  /** A run that is open from now on. */
  add(run: RunIdentity): void;
  endRun(run: RunIdentity): void;
  /** The pump has sent nothing for a minute. */
  silence(pump: PumpAddress): void;
}

export function createFakePumpRecords(): FakePumpRecords {
  const known = new Set<string>();
  const open = new Set<string>();
  const listeners = new Set<(pump: PumpKey | undefined) => void>();
  const announce = (pump: PumpAddress): void => {
    for (const listener of listeners) listener(pumpKeyOf(pump));
  };
  const rowOf = (pump: PumpAddress): Row | undefined =>
    known.has(textOf(pump.run)) ? fake.rows.get(pumpKeyOf(pump)) : undefined;
  const permitted = (pump: PumpAddress, tokenHash: string): Row => {
    const row = rowOf(pump);
    if (row?.tokenHash === tokenHash && open.has(textOf(pump.run))) return row;
    throw new CodedError("AuthenticationFailed", "The token is refused");
  };
  const spoken = (row: Row, instance: string): Row => {
    if ((row.instance ??= instance) !== instance) throw new CodedError("Conflict", "Another process speaks");
    return row;
  };

  const fake: FakePumpRecords = {
    rows: new Map(),
    add(run) {
      known.add(textOf(run));
      open.add(textOf(run));
    },
    endRun: (run) => void open.delete(textOf(run)),
    silence(pump) {
      const row = rowOf(pump);
      if (row) row.isHeard = false;
    },
    async open(pump, tokenHash) {
      if (!known.has(textOf(pump.run))) throw notFound();
      const row = rowOf(pump);
      if (row?.tokenHash === tokenHash) return;
      if (row?.result) throw new CodedError("Conflict", "It has left its result");
      fake.rows.set(pumpKeyOf(pump), { tokenHash, commands: [], sequence: -1, isHeard: false });
    },
    async find(pump) {
      const row = rowOf(pump);
      if (!row) return undefined;
      const { report, result, isHeard } = row;
      return { isHeard, ...(report && { report }), ...(result && { result }) };
    },
    async addCommand(pump, command) {
      const row = rowOf(pump);
      const isKnown = row?.commands.some((kept) => JSON.stringify(kept) === JSON.stringify(command));
      if (!row || row.result || isKnown) return;
      row.commands.push(command);
      announce(pump);
    },
    async authenticate(pump, tokenHash) {
      permitted(pump, tokenHash);
    },
    async poll(pump, tokenHash, { instance, heard, sequence, report }) {
      const row = spoken(permitted(pump, tokenHash), instance);
      if (row.result) throw new CodedError("Conflict", "It has left its result");
      row.isHeard = true;
      if (sequence > row.sequence) {
        Object.assign(row, { sequence, report });
        announce(pump);
      }
      return { commands: row.commands.slice(heard) };
    },
    async finish(pump, tokenHash, { instance, result }) {
      const row = spoken(permitted(pump, tokenHash), instance);
      if (row.result && JSON.stringify(row.result) !== JSON.stringify(result)) {
        throw new CodedError("Conflict", "It has another result");
      }
      if (row.result) return;
      row.result = result;
      announce(pump);
    },
    async listen(changed) {
      listeners.add(changed);
      return {
        close: async () => {
          listeners.delete(changed);
        },
      };
    },
  };
  return fake;
}
