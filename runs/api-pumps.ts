import type { ApiPumps, PumpKey, PumpRecords } from "../model/ports/pump-channel.ts";
import type { Changes } from "../waiting/changes.ts";
import { recordedPump } from "./pump-channel.ts";
import { hashOfToken, newPumpToken } from "./pump-token.ts";

/** Pumps whose messages are kept in `records`, of which `changes` tells. */
export const apiPumps = (
  records: Pick<PumpRecords, "open" | "find" | "addCommand">,
  changes: Changes<PumpKey>,
): ApiPumps => ({
  newToken: newPumpToken,
  open: (pump, token) => records.open(pump, hashOfToken(token)),
  has: async (pump) => (await records.find(pump)) !== undefined,
  channelTo: (pump) => recordedPump(records, changes, pump),
});
