import { messageOf } from "../../../model/errors.ts";
import { poll } from "../../../waiting/bounded.ts";
import { localPump } from "../../../docker/pump/pump-link.ts";
import { PumpWatch } from "../../../waiting/pump-watch.ts";
import { obeyHogging, say } from "../../starved-process.ts";

/** Asks the pump of a folder in each way again and again, and prints the answers. */
const folder = process.argv[2] ?? "";
const channel = localPump(folder);
const ways = {
  state: async () => (await channel.state()).phase,
  follow: async () => {
    const link = await channel.follow(() => {});
    link?.close();
    return link === undefined ? "Dead" : "followed";
  },
  watch: async () => {
    const watch = new PumpWatch(channel, () => {});
    try {
      return (await watch.look()).phase;
    } finally {
      watch.close();
    }
  },
};

obeyHogging();
await poll(
  async () => {
    for (const [way, ask] of Object.entries(ways)) say({ way, answer: await ask().catch(messageOf) });
    return undefined;
  },
  { everyMs: 20 },
);
