import { doubling, every } from "../../waiting/retry.ts";
import { ARCHIVE_LIMIT_MS } from "../archive.ts";
import { repairEnded, repairMissing } from "./containers.ts";
import { Heals, type HealsOptions } from "./heals.ts";
import { OpenWorkflows } from "./open-workflows.ts";
import { repairOverdue } from "./overdue.ts";
import { whileMayAct, type Repairing, type RepairPorts } from "./ports.ts";
import { Sightings } from "./sightings.ts";
import { keepAlive, repairUnstarted } from "./starts.ts";
import { repairOutputs } from "./unsettled.ts";
import { repairOutside, repairWorkflows } from "./workflows.ts";

/** Most calls of a heal have a limit of their own that is shorter; the stop of a container has a longer one. */
const HEAL_LIMIT_MS = 30_000;
const HEALS_AT_ONCE = 8;
/** Far less than the minute in which everything is repaired once the broken part is back. */
const PAUSES = doubling(2_000, 15_000);
/** A long log is read from its beginning again. */
const ARCHIVE_PAUSES = doubling(5_000, 60_000);
const ARCHIVES_AT_ONCE = 2;

/** Finds and repairs faults of one cluster's runs. Nothing that hangs holds up anything else for longer than its limit. */
export interface Repair {
  /** Looks for faults and begins to repair them. Returns at once, whatever does not answer. */
  pass(which: Pass): void;
  /** Settles once nothing is being looked for or repaired. */
  settled(): Promise<void>;
  /** Begins nothing more, and ends long archives. */
  stop(): void;
}

export interface Pass {
  /** Also looks for faults whose search lists all open runs and their workflows. */
  isWhole: boolean;
}

export function createRepair(ports: RepairPorts, nowMs = steadyMs): Repair {
  const ended = { settled: new Sightings(nowMs), reported: new Sightings(nowMs) };
  const idle = new Sightings(nowMs);
  const open = new OpenWorkflows(nowMs);
  return repairWith(ports, nowMs, (repairing, look, { isWhole }) => {
    keepAlive(repairing);
    // One list of all containers in a pass, for each look that wants it.
    let listed: ReturnType<typeof repairing.compute.survey> | undefined;
    const survey = () => (listed ??= repairing.compute.survey());
    look("runs without a workflow", () => repairUnstarted(repairing));
    look("cancels and deadlines", () => repairOverdue(repairing, isWhole));
    look("outputs without an end", () => repairOutputs(repairing));
    look("ended runs to clean up", () => repairOutside(repairing));
    look("ended containers", () => repairEnded(repairing, ended, survey, isWhole));
    if (!isWhole) return;
    look("missing containers", () => repairMissing(repairing, ended, survey));
    look("closed workflows", () => repairWorkflows(repairing, open, idle, survey));
  });
}

/**
 * For the runs of a cluster that was taken out of the configuration: no worker executes their workflows, and nothing is known about
 * their containers. Cancels and deadlines end them as if the cluster did not answer; all else waits for it to be back.
 */
export const createCaretaker = (ports: RepairPorts, nowMs = steadyMs): Repair =>
  repairWith(ports, nowMs, (repairing, look) => {
    look("cancels and deadlines", () => repairOverdue(repairing, false));
    look("outputs without an end", () => repairOutputs(repairing));
  });

const steadyMs = (): number => performance.now();

type Look = (fault: string, work: () => Promise<void>) => void;

function repairWith(
  ports: RepairPorts,
  nowMs: () => number,
  begin: (repairing: Repairing, look: Look, which: Pass) => void,
): Repair {
  const { log, mayAct } = ports;
  const stopping = new AbortController();
  const heals = (given: Pick<HealsOptions, "atOnce"> & Partial<HealsOptions>): Heals =>
    new Heals({
      failed: "could not repair, trying again",
      limitMs: HEAL_LIMIT_MS,
      pauses: PAUSES,
      log,
      nowMs,
      ...given,
    });
  const starts = heals({ atOnce: HEALS_AT_ONCE });
  const ends = heals({ atOnce: HEALS_AT_ONCE });
  const archives = heals({ atOnce: ARCHIVES_AT_ONCE, limitMs: ARCHIVE_LIMIT_MS, pauses: ARCHIVE_PAUSES });
  // One for each kind of fault; a look that has not ended is not begun again.
  const looks = heals({ atOnce: Infinity, failed: "could not look for faults, trying again", pauses: every(0) });
  const repairing: Repairing = { ...whileMayAct(ports), starts, ends, archives, stopping: stopping.signal };
  return {
    pass(which) {
      if (stopping.signal.aborted || !mayAct()) return;
      begin(repairing, (fault, work) => looks.offer({ fault }, work), which);
    },

    async settled() {
      await looks.settled();
      await Promise.all([starts, ends].map((pool) => pool.settled()));
      await archives.settled();
    },

    stop() {
      stopping.abort();
      for (const pool of [looks, starts, ends, archives]) pool.clear();
    },
  };
}
