import { messageOf } from "../../../model/errors.ts";
import { holdsSocket, identify, programOf, userOf } from "../../../stack/host/processes.ts";
import { poll } from "../../../waiting/bounded.ts";
import { obeyHogging, say } from "../../starved-process.ts";

/** Asks about itself in each way again and again, and prints the answers. */
const ways = { identify, programOf, userOf, holdsSocket: (pid: number) => holdsSocket(pid, "1") };

obeyHogging();
await poll(
  () => {
    for (const [way, ask] of Object.entries(ways)) {
      try {
        const answer = ask(process.pid);
        say({ way, answer: answer === undefined ? "undefined" : typeof answer });
      } catch (err) {
        say({ way, answer: messageOf(err) });
      }
    }
    return undefined;
  },
  { everyMs: 20 },
);
