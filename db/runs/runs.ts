import { and, eq, isNull, lt, sql, type SQL } from "drizzle-orm";
import { CodedError, notFound } from "../../model/errors.ts";
import type { Outcome } from "../../model/run/lifecycle.ts";
import type { EndedBy, NewRun, RunRecords } from "../../model/ports/records.ts";
import { isSameRun, type RunIdentity } from "../../model/run/identity.ts";
import { outputsOf } from "../../model/run/outputs.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { normalTimestamp } from "../../model/time/timestamp.ts";
import { insertBuffers } from "../buffers.ts";
import type { Db } from "../client.ts";
import { claimOutputs, findOutputClaims, releaseOutputs } from "../output-claims.ts";
import { present, shownIfAny, shownInstant } from "../row.ts";
import { countRuns, listRuns } from "./run-pages.ts";
import { keyHashOf } from "./key-hash.ts";
import { recordOf } from "./run-row.ts";
import { installation, isOpen, isShownOpen, isUnarchived, runCounts, runs } from "../schema.ts";
import { refuseUnstorable, storable } from "../storable.ts";

/** The rows of runs. They only move forward: each write has in its condition which rows it can move. */
export function runRecords(db: Db): Omit<RunRecords, "listen"> {
  return {
    create: (run) => createRun(db, run),
    find: (id) => findRun(db, id),
    load: (run) => loadRun(db, run),
    findByKey: (key) => findWhere(db, eq(runs.idempotencyKeyHash, keyHashOf(key))),
    list: (query) => listRuns(db, query),
    counts: (filter) => countRuns(db, filter),
    countOpen: async () => {
      const total = sql<number>`coalesce(sum(${runCounts.total}), 0)::float8`;
      const [open] = await db.select({ total }).from(runCounts).where(isShownOpen);
      return open?.total ?? 0;
    },

    requestCancel: async (id) => {
      if (!isRunId(id)) return undefined;
      const isNews = and(eq(runs.id, id), isOpen, isNull(runs.cancelRequestedAt));
      const set = { cancelRequestedAt: now, revision: nextRevision };
      const [row] = await db.update(runs).set(set).where(isNews).returning();
      return row ? recordOf(row) : findRun(db, id);
    },

    setTags: (id, tags, ifMatch) => setTags(db, id, tags, ifMatch),

    recordWorkflowStarted: async (id) => {
      await db
        .update(runs)
        .set({ workflowStartedAt: now })
        .where(and(eq(runs.id, id), isNull(runs.workflowStartedAt)));
    },

    recordRunning: async (id, revision, startedAt) => {
      const set = { status: "Running" as const, statusReason: null, revision, ...startOf(startedAt) };
      await db
        .update(runs)
        .set(set)
        .where(and(eq(runs.id, id), isOpen, lt(runs.revision, revision)));
    },

    recordStart: async (run, startedAt) => {
      const set = { status: "Running" as const, statusReason: null, revision: nextRevision, ...startOf(startedAt) };
      await db
        .update(runs)
        .set(set)
        .where(and(isThe(run), eq(runs.status, "Pending")));
    },

    recordWaiting: async (run, given) => {
      const statusReason = given === undefined ? null : storable(given);
      const isNews = and(
        isThe(run),
        eq(runs.status, "Pending"),
        sql`${runs.statusReason} is distinct from ${statusReason}::text`,
      );
      await db.update(runs).set({ statusReason, revision: nextRevision }).where(isNews);
    },

    recordReason: async (run, given) => {
      const statusReason = storable(given);
      const isNews = and(isThe(run), isOpen, sql`${runs.statusReason} is distinct from ${statusReason}::text`);
      await db.update(runs).set({ statusReason, revision: nextRevision }).where(isNews);
    },
    recordRunningCount: async (run, runningCount) => {
      const isNews = and(
        isThe(run),
        eq(runs.status, "Running"),
        sql`${runs.runningCount} is distinct from ${runningCount}::integer`,
      );
      await db.update(runs).set({ runningCount, revision: nextRevision }).where(isNews);
    },
    finish: (run, outcome, by) => finishRun(db, run, outcome, by),
    recordArchived: async (run, logLocation) => {
      await db
        .update(runs)
        .set({ archivedAt: now, ...present({ logLocation }) })
        .where(and(isThe(run), isUnarchived));
    },

    outputClaims: ({ id }) => findOutputClaims(db, id),
    releaseOutputs: ({ id }) => releaseOutputs(db, id),

    clustersInUse: async () => {
      const inUse = await db.execute<{ cluster: string }>(
        sql`select cluster from ${runs} where ${isOpen} union select cluster from ${runs} where ${isUnarchived}`,
      );
      return inUse.map(({ cluster }) => cluster).toSorted();
    },

    numberCheck: async () => {
      const columns = { nowAt: sql<string>`clock_timestamp()::text`, since: installation.numbersCheckedAt };
      const [row] = await db.select(columns).from(installation);
      if (!row) throw new Error("The database has no installation id");
      return { nowAt: shownInstant(row.nowAt), ...present({ since: shownIfAny(row.since) }) };
    },
    recordNumberCheck: async (at) => {
      await db.update(installation).set({ numbersCheckedAt: at });
    },
    raiseNumbers: (number) => raiseNumbers(db, number),
  };
}

const now = sql`clock_timestamp()`;
const nextRevision = sql`${runs.revision} + 1`;

/** A number outside this range is not an id, and Postgres would refuse it. */
const isRunId = (id: number): boolean => Number.isSafeInteger(id) && id > 0;

/** The row of this run, and of no other one with its number. */
const isThe = ({ id, uid }: RunIdentity): SQL | undefined =>
  and(eq(runs.id, id), uid === undefined ? isNull(runs.uid) : eq(runs.uid, uid));

async function createRun(db: Db, created: NewRun): Promise<{ run: RunRecord; created: boolean }> {
  const { newBuffers, idempotencyKey, ...stated } = created;
  refuseUnstorable(stated);
  const idempotencyKeyHash = idempotencyKey === undefined ? undefined : keyHashOf(idempotencyKey);
  // Fields that have a column are stored.
  const values = { ...stated, ...present({ idempotencyKeyHash }) };
  return db.transaction(async (tx) => {
    // Waits for a transaction that has written the same key; if that fails, this one inserts.
    const [row] = await tx
      .insert(runs)
      .values(values)
      .onConflictDoNothing({ target: runs.idempotencyKeyHash })
      .returning();
    if (row) {
      await insertBuffers(tx, newBuffers);
      await claimOutputs(tx, row.id, outputsOf(stated.job));
      return { run: recordOf(row), created: true };
    }
    const first =
      idempotencyKey === undefined
        ? undefined
        : await findWhere(tx, eq(runs.idempotencyKeyHash, keyHashOf(idempotencyKey)));
    if (!first) throw new Error("A run was neither inserted nor there");
    return { run: first, created: false };
  });
}

async function finishRun(db: Db, run: RunIdentity, outcome: Outcome, by: EndedBy = "workflow"): Promise<RunRecord> {
  const { status, statusReason, startedAt, finishedAt } = outcome;
  const set = {
    status,
    revision: nextRevision,
    // An open run can have one, too: that it could not be stopped yet.
    statusReason: statusReason === undefined ? null : storable(statusReason),
    ...(by === "outside" ? { endedOutsideAt: now } : {}),
    ...startOf(startedAt),
    ...(finishedAt === undefined
      ? {}
      : { finishedAt: latestOf(runs.createdAt, runs.startedAt, startedAt, finishedAt) }),
  };
  const [row] = await db
    .update(runs)
    .set(set)
    .where(and(isThe(run), isOpen))
    .returning();
  return row ? recordOf(row) : loadRun(db, run);
}

async function setTags(
  db: Db,
  id: number,
  tags: Record<string, string>,
  ifMatch: string | undefined,
): Promise<RunRecord | undefined> {
  if (!isRunId(id)) return undefined;
  refuseUnstorable(tags);
  return db.transaction(async (tx) => {
    // The lock keeps the eTag that is compared true until the tags are written.
    const [row] = await tx.select().from(runs).where(eq(runs.id, id)).for("update");
    if (row === undefined) return undefined;
    const { eTag } = recordOf(row);
    if (ifMatch !== undefined && ifMatch !== eTag) {
      throw new CodedError("PreconditionFailed", `The run '${id}' has the ETag '${eTag}', not '${ifMatch}'`);
    }
    // The revision stays: it orders what the workflow writes, and tags are not the workflow's.
    const [written] = await tx.update(runs).set({ tags }).where(eq(runs.id, id)).returning();
    return written && recordOf(written);
  });
}

/** The first known start stays; engines can date it before the creation, or in whole seconds. */
const startOf = (startedAt: string | undefined): { startedAt?: SQL } =>
  startedAt === undefined
    ? {}
    : { startedAt: sql`coalesce(${runs.startedAt}, ${latestOf(runs.createdAt, startedAt)})` };

type Instant = typeof runs.createdAt | typeof runs.startedAt | string | undefined;

/** The latest of columns and of instants as engines give them; empty ones do not count. */
function latestOf(...instants: Instant[]): SQL {
  const known = instants.filter((instant) => instant !== undefined);
  const terms = known.map((instant) =>
    typeof instant === "string" ? sql`${normalTimestamp(instant)}::timestamptz` : sql`${instant}`,
  );
  return sql`greatest(${sql.join(terms, sql`, `)})`;
}

const findRun = async (db: Db, id: number): Promise<RunRecord | undefined> =>
  isRunId(id) ? findWhere(db, eq(runs.id, id)) : undefined;

async function loadRun(db: Db, identity: RunIdentity): Promise<RunRecord> {
  const run = await findRun(db, identity.id);
  if (!run || !isSameRun(run, identity)) throw notFound();
  return run;
}

async function findWhere(db: Db, condition: SQL): Promise<RunRecord | undefined> {
  const [row] = await db.select().from(runs).where(condition);
  return row && recordOf(row);
}

async function raiseNumbers(db: Db, number: number): Promise<boolean> {
  const isBelow = async (tx: Pick<Db, "execute">): Promise<boolean> =>
    (await tx.execute(sql`select from runs_id_seq where last_value < ${number}::bigint`)).length === 1;
  if (!(await isBelow(db))) return false;
  return db.transaction(async (tx) => {
    // No run is inserted meanwhile: setting the sequence must not take back a number that was given out since the look.
    await tx.execute(sql`lock table runs in share row exclusive mode`);
    if (!(await isBelow(tx))) return false;
    await tx.execute(sql`select setval('runs_id_seq', ${number}::bigint)`);
    return true;
  });
}
