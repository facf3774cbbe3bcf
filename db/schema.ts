import { randomBytes } from "node:crypto";
import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  customType,
  index,
  integer,
  json,
  jsonb,
  pgEnum,
  pgTable,
  primaryKey,
  text,
  timestamp,
} from "drizzle-orm/pg-core";
import { base32 } from "../model/buffer/buffer.ts";
import type { Codespec } from "../model/codespec/codespec.ts";
import { SOLE_CLUSTER } from "../model/run/names.ts";
import type { PumpCommand, PumpReport, PumpResult } from "../model/run/pump.ts";
import { RUN_STATUSES, type JobTarget } from "../model/run/run.ts";

/** Compared byte by byte, whatever the database's locale. */
const byteText = customType<{ data: string }>({ dataType: () => `text collate "C"` });
/** Microseconds, as text: a Date carries milliseconds only. */
const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 6, mode: "string" });
const createdAt = () =>
  instant("created_at")
    .notNull()
    .default(sql`clock_timestamp()`);
/** `json` and not `jsonb`: the order of keys is the user's, and an `env` value can refer to those before it. */
const tags = () => json("tags").$type<Record<string, string>>().notNull().default({});

/** So many that two runs never have the same. */
const UID_BYTES = 10;

export const runStatus = pgEnum("run_status", RUN_STATUSES);
export const launchState = pgEnum("launch_state", ["claimed", "launched", "removed"]);

/** One row: the random id born with the database. */
export const installation = pgTable("installation", {
  only: boolean("only").primaryKey().default(true),
  id: text("id").notNull(),
  /** When a worker last found no number in use that the sequence could still give out; null before the first time. */
  numbersCheckedAt: instant("numbers_checked_at"),
});

export const codespecs = pgTable(
  "codespecs",
  {
    name: byteText("name").notNull(),
    version: integer("version").notNull(),
    createdAt: createdAt(),
    codespec: json("codespec").$type<Codespec>().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.name, table.version] }),
    // The latest version of each name, in the order of names. nullsFirst: what `order by … desc` means in SQL.
    index("codespecs_latest").on(table.name, table.version.desc().nullsFirst()),
  ],
);

export const buffers = pgTable("buffers", {
  id: byteText("id").primaryKey(),
  location: text("location").notNull(),
  createdAt: createdAt(),
  isSoftDeleted: boolean("is_soft_deleted").notNull().default(false),
  expiresAt: instant("expires_at"),
  tags: tags(),
});

/** Locations that an installation has used: a folder that is missing there is away, and must not be made again. */
export const locations = pgTable("locations", { name: text("name").primaryKey() });

/** The run has not ended. Literal text, without parameters: the planner matches it with the partial indexes. */
export const isOpen = sql`status in ('Pending', 'Running')`;

/** The same of a status as it is shown. */
export const isShownOpen = sql`status in ('Pending', 'Running', 'Canceling')`;

/**
 * Started, not admitted, and not about to end: such a run needs a slot, and the oldest gets it first. The lists of the oldest ones
 * walk an index that has no other runs.
 */
export const needsSlot = sql`${isOpen} and admitted_at is null and workflow_started_at is not null and cancel_requested_at is null`;

/** The run has ended and its logs are not in the archive. */
export const isUnarchived = sql`status not in ('Pending', 'Running') and archived_at is null`;

export const runs = pgTable(
  "runs",
  {
    id: bigint("id", { mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    /** Null in rows that are older than this column: nothing else of those runs has a uid. */
    uid: text("uid").$defaultFn(() => base32(randomBytes(UID_BYTES))),
    createdAt: createdAt(),
    /** Never `Canceling`: `shownStatus` derives that from a request to cancel. */
    status: runStatus("status").notNull().default("Pending"),
    cancelRequestedAt: instant("cancel_requested_at"),
    shownStatus: runStatus("shown_status")
      .notNull()
      .generatedAlwaysAs(
        sql`case when cancel_requested_at is not null and ${isOpen} then 'Canceling'::run_status else status end`,
      ),
    statusReason: text("status_reason"),
    startedAt: instant("started_at"),
    finishedAt: instant("finished_at"),
    job: json("job").$type<JobTarget>().notNull(),
    /** `name/versions/N` of the codespec that was copied into the job; null for an inline one, and in older rows. */
    codespecRef: text("codespec_ref"),
    /** Older rows have the default: their runs were launched with one replica. */
    replicaCount: integer("replica_count").notNull().default(1),
    /** Of a run with several replicas, as its cluster's watcher last saw it. */
    runningCount: integer("running_count"),
    timeoutSeconds: integer("timeout_seconds").notNull(),
    tags: tags(),
    /** Where it runs. Older rows have the default: until then there was one cluster, of that name. */
    cluster: text("cluster").notNull().default(SOLE_CLUSTER),
    bufferAccessTtl: text("buffer_access_ttl").notNull(),
    revision: integer("revision").notNull().default(0),
    workflowStartedAt: instant("workflow_started_at"),
    admittedAt: instant("admitted_at"),
    /** When it was first refused a slot. */
    queuedAt: instant("queued_at"),
    /** When it was ended by the reconciler and not by its workflow: until it is archived, stopping it is owed. */
    endedOutsideAt: instant("ended_outside_at"),
    archivedAt: instant("archived_at"),
    /** The location of the archived log; null in older rows, whose logs are in the data folder. */
    logLocation: text("log_location"),
    /** A hash of the client's key, because a header can be longer than an index entry. */
    idempotencyKeyHash: text("idempotency_key_hash").unique(),
  },
  (table) => [
    index("runs_by_status").on(table.shownStatus, table.createdAt, table.id),
    index("runs_open").on(table.cluster, table.id).where(isOpen),
    index("runs_without_slot").on(table.cluster, table.id).where(needsSlot),
    index("runs_unarchived").on(table.cluster, table.id).where(isUnarchived),
  ],
);

/** Kept by triggers: a tag filter walks one index in the order of the page, however common or rare the tag is. */
export const runTags = pgTable(
  "run_tags",
  {
    runId: bigint("run_id", { mode: "number" }).notNull(),
    key: byteText("key").notNull(),
    value: byteText("value").notNull(),
    status: runStatus("status").notNull(),
    createdAt: instant("created_at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.runId, table.key] }),
    index("run_tags_newest").on(table.key, table.value, table.status, table.createdAt, table.runId),
  ],
);

/**
 * Kept by triggers: runs by shown status and cluster, and how many of them were admitted. Each backend adds to a shard, so that writers rarely
 * wait for each other.
 */
export const runCounts = pgTable(
  "run_counts",
  {
    status: runStatus("status").notNull(),
    cluster: text("cluster").notNull().default(SOLE_CLUSTER),
    shard: integer("shard").notNull(),
    total: bigint("total", { mode: "number" }).notNull(),
    admitted: bigint("admitted", { mode: "number" }).notNull().default(0),
  },
  (table) => [primaryKey({ columns: [table.status, table.cluster, table.shard] })],
);

/** Which attempt can start the container of a replica. No reference to runs: `removed` is also written for unknown ones. */
export const launches = pgTable(
  "launches",
  {
    runId: bigint("run_id", { mode: "number" }).notNull(),
    runUid: text("run_uid"),
    replica: integer("replica").notNull(),
    attempt: text("attempt").notNull(),
    containerId: text("container_id"),
    state: launchState("state").notNull(),
  },
  (table) => [primaryKey({ columns: [table.runId, table.replica] })],
);

/** Which run has a buffer as its output: from its creation until the output has its end mark. */
export const outputClaims = pgTable(
  "output_claims",
  {
    bufferId: byteText("buffer_id").primaryKey(),
    // A row of the same database: its number says which run it is.
    runId: bigint("run_id", { mode: "number" })
      .notNull()
      .references(() => runs.id, { onDelete: "cascade" }),
    /** False for a run that was created before writers had tokens: its pump can have begun the buffer without one. */
    hasToken: boolean("has_token").notNull().default(true),
  },
  (table) => [index("output_claims_of_run").on(table.runId)],
);

/** Which process has which task of a cluster. */
export const leases = pgTable("leases", {
  name: text("name").primaryKey(),
  holder: text("holder").notNull(),
  expiresAt: instant("expires_at").notNull(),
});

/** Messages between the pumps of replicas that speak to our API and the processes that speak to them. */
export const pumps = pgTable(
  "pumps",
  {
    // A row of the same database: its number says which run it is.
    runId: bigint("run_id", { mode: "number" })
      .notNull()
      .references(() => runs.id, { onDelete: "cascade" }),
    replica: integer("replica").notNull(),
    tokenHash: text("token_hash").notNull(),
    /** The process that speaks for the pump; null before its first word. */
    instance: text("instance"),
    seenAt: instant("seen_at"),
    /** In their order. They are only ever appended to, so that a number says which ones the pump has. */
    commands: jsonb("commands").$type<PumpCommand[]>().notNull().default([]),
    reportSequence: integer("report_sequence").notNull().default(-1),
    report: json("report").$type<PumpReport>(),
    result: json("result").$type<PumpResult>(),
  },
  (table) => [primaryKey({ columns: [table.runId, table.replica] })],
);
