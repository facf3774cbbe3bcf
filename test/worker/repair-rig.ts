import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { pino } from "pino";
import { onTestFinished } from "vitest";
import { base32 } from "../../model/buffer/buffer.ts";
import type { Database } from "../../model/ports/database.ts";
import type { ClusterWorkflows } from "../../model/ports/workflows.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import { workflowIdOf } from "../../model/run/names.ts";
import type { RunRecord } from "../../model/run/run.ts";
import type { LostRun, RepairPorts } from "../../runs/repair/ports.ts";
import { createRepair, type Repair } from "../../runs/repair/repair.ts";
import { createClusterWorkflows } from "../../temporal/run-workflows.ts";
import { createdRun, newRun, openFresh } from "../db/fixture.ts";
import { eventually } from "../eventually.ts";
import { createFakeRunPorts, type FakeRunPorts } from "../fakes/run-ports.ts";
import type { TemporalRig } from "../temporal-rig.ts";

export const CLUSTER = "docker";

/** The reconciler over a real database and a real Temporal, and a backend that does what the test says. */
export interface RepairRig {
  database: Database;
  /** No other test uses its ids and its task queue. */
  installation: string;
  workflows: ClusterWorkflows;
  ports: FakeRunPorts;
  lost(): readonly LostRun[];
  /** Another reconciler of the same cluster, with ports of the test's own. */
  repairOf(given?: Partial<RepairPorts>): Repair;
  /** A whole pass, and all that follows from it, some seconds after the one before. */
  pass(repair?: Repair): Promise<void>;
  /** Lets the reconciler's steady clock run on. */
  later(seconds: number): void;
  /** Moves the instants in a run's row into the past, as if its creation and its cancel were that much older. */
  age(run: RunIdentity, seconds: number): Promise<void>;
  /** A run with an open workflow, on which no worker works. */
  startedRun(given?: Partial<ReturnType<typeof newRun>>): Promise<RunRecord>;
  /** The row as it is. */
  rowOf(run: RunIdentity): Promise<RunRecord>;
  handleOf(run: RunIdentity): ReturnType<TemporalRig["client"]["workflow"]["getHandle"]>;
  /** Visibility trails the truth by up to a second. */
  untilListed(run: RunIdentity): Promise<unknown>;
}

/** More than the pause after a heal that failed. */
const BETWEEN_PASSES_S = 16;

export async function openRepairRig(temporal: TemporalRig): Promise<RepairRig> {
  const { database, url } = await openFresh();
  const installation = base32(randomBytes(8)).slice(0, 10);
  const workflows = createClusterWorkflows(temporal.client, installation, CLUSTER);
  const ports = createFakeRunPorts(database.runsIn("docker"), { maxLiveRuns: 1000, offerSlot: async () => undefined });
  const handleOf = (run: RunIdentity) => temporal.client.workflow.getHandle(workflowIdOf(installation, run.id));
  let lost: readonly LostRun[] = [];
  let nowMs = 0;
  const repairOf = (given: Partial<RepairPorts> = {}): Repair => {
    const reportLost = (found: readonly LostRun[]): void => {
      lost = found;
    };
    const log = pino({ level: "silent" });
    return createRepair({ ...ports, workflows, reportLost, mayAct: () => true, log, ...given }, () => nowMs);
  };
  const usual = repairOf();
  return {
    database,
    installation,
    workflows,
    ports,
    lost: () => lost,
    repairOf,
    async pass(repair = usual) {
      nowMs += BETWEEN_PASSES_S * 1000;
      repair.pass({ isWhole: true });
      await repair.settled();
    },
    later(seconds) {
      nowMs += seconds * 1000;
    },
    async age(run, seconds) {
      const client = postgres(url, { max: 1, onnotice: () => {} });
      onTestFinished(() => client.end({ timeout: 1 }));
      const older = `interval '${seconds} seconds'`;
      const set = `created_at = created_at - ${older}, cancel_requested_at = cancel_requested_at - ${older}`;
      await client.unsafe(`update runs set ${set} where id = ${run.id}`);
    },
    async startedRun(given) {
      const run = await database.runs.load(await createdRun(database, given));
      await workflows.start(run);
      await database.runs.recordWorkflowStarted(run.id);
      return run;
    },
    rowOf: (run) => database.runs.load(run),
    handleOf,
    untilListed: (run) => eventually(async () => (await workflows.openRuns()).has(run.id)),
  };
}
