import { and, eq, isNull, not, sql, type SQL } from "drizzle-orm";
import { CodedError, notFound } from "../model/errors.ts";
import type { PumpAddress, PumpRecord, PumpRecords } from "../model/ports/pump-channel.ts";
import type { PumpResult } from "../model/run/pump.ts";
import type { Db } from "./client.ts";
import { present } from "./row.ts";
import { isOpen, pumps, runs } from "./schema.ts";

/** A live pump asks again within 20 s, and this is time for two attempts that fail. */
const HEARD_WITHIN_SECONDS = 60;

/** Each step is one statement that checks all on which it depends, so that any process can do any of them, also twice. */
export function pumpRecords(db: Db): Omit<PumpRecords, "listen"> {
  /** Why a statement of a pump changed nothing, if not because there is a result. */
  const checkSpeaker = async (pump: PumpAddress, tokenHash: string, instance: string): Promise<PumpResult | null> => {
    const [row] = await db
      .select({ instance: pumps.instance, result: pumps.result })
      .from(pumps)
      .where(hasToken(pump, tokenHash));
    if (!row) throw refused();
    if (row.instance !== null && row.instance !== instance) throw taken();
    return row.result;
  };

  return {
    async open(pump, tokenHash) {
      // Of runs that have ended, too: their pumps are refused.
      const opened = await db.execute(sql`
        insert into pumps (run_id, replica, token_hash)
        select id, ${pump.replica}::integer, ${tokenHash}::text from runs where ${isRun(pump)}
        on conflict (run_id, replica) do update set
          token_hash = excluded.token_hash, instance = default, seen_at = default, commands = default,
          report_sequence = default, report = default
        where pumps.token_hash <> excluded.token_hash and pumps.result is null
        returning run_id`);
      if (opened.length > 0) return;
      const [row] = await db.select({ tokenHash: pumps.tokenHash }).from(pumps).where(isPump(pump));
      if (!row) throw notFound();
      if (row.tokenHash !== tokenHash) throw new CodedError("Conflict", "The pump of the replica has left its result");
    },

    async find(pump) {
      const isHeard = sql<boolean>`coalesce(${pumps.seenAt} > clock_timestamp() - ${`${HEARD_WITHIN_SECONDS} s`}::interval, false)`;
      const [row] = await db
        .select({ report: pumps.report, result: pumps.result, isHeard })
        .from(pumps)
        .where(isPump(pump));
      return row && recordOf(row);
    },

    async addCommand(pump, command) {
      const given = JSON.stringify(command);
      const isKnown = sql`exists (select from jsonb_array_elements(${pumps.commands}) as kept where kept = ${given}::jsonb)`;
      await db
        .update(pumps)
        .set({ commands: sql`${pumps.commands} || jsonb_build_array(${given}::jsonb)` })
        .where(and(isPump(pump), isNull(pumps.result), not(isKnown)));
    },

    async authenticate(pump, tokenHash) {
      if ((await db.$count(pumps, hasToken(pump, tokenHash))) !== 1) throw refused();
    },

    async poll(pump, tokenHash, { instance, heard, sequence, report }) {
      const isNewer = sql`${pumps.reportSequence} < ${sequence}::integer`;
      const [row] = await db
        .update(pumps)
        .set({
          instance,
          seenAt: sql`clock_timestamp()`,
          report: sql`case when ${isNewer} then ${JSON.stringify(report)}::json else ${pumps.report} end`,
          reportSequence: sql`greatest(${pumps.reportSequence}, ${sequence}::integer)`,
        })
        .where(and(hasToken(pump, tokenHash), isSpeaker(instance), isNull(pumps.result)))
        .returning({ commands: pumps.commands });
      if (row) return { commands: row.commands.slice(heard) };
      await checkSpeaker(pump, tokenHash, instance);
      throw taken();
    },

    async finish(pump, tokenHash, { instance, result }) {
      const finished = await db
        .update(pumps)
        .set({ instance, result, seenAt: sql`clock_timestamp()` })
        .where(and(hasToken(pump, tokenHash), isSpeaker(instance), isNull(pumps.result)))
        .returning({ replica: pumps.replica });
      if (finished.length > 0) return;
      const kept = await checkSpeaker(pump, tokenHash, instance);
      if (!isSame(kept, result)) throw new CodedError("Conflict", "The pump has another result");
    },
  };
}

/** The run, and not another one with its number. */
const isRun = ({ run: { id, uid } }: PumpAddress): SQL =>
  sql`id = ${id} and uid is not distinct from ${uid ?? null}::text`;

const isPump = (pump: PumpAddress): SQL | undefined =>
  and(
    eq(pumps.runId, pump.run.id),
    eq(pumps.replica, pump.replica),
    sql`exists (select from ${runs} where ${isRun(pump)})`,
  );

/** The pump has this token, and its run is open. */
const hasToken = (pump: PumpAddress, tokenHash: string): SQL | undefined =>
  and(
    eq(pumps.runId, pump.run.id),
    eq(pumps.replica, pump.replica),
    eq(pumps.tokenHash, tokenHash),
    sql`exists (select from ${runs} where ${isRun(pump)} and ${isOpen})`,
  );

const isSpeaker = (instance: string): SQL => sql`coalesce(${pumps.instance}, ${instance}) = ${instance}`;

const recordOf = ({
  isHeard,
  ...row
}: Pick<typeof pumps.$inferSelect, "report" | "result"> & Pick<PumpRecord, "isHeard">): PumpRecord => ({
  isHeard,
  ...present(row),
});

const isSame = (kept: PumpResult | null, given: PumpResult): boolean =>
  kept?.status === given.status && kept.message === given.message && kept.cutOff === given.cutOff;

const refused = (): CodedError =>
  new CodedError("AuthenticationFailed", "The token is not one of this replica, or its run is over");
const taken = (): CodedError =>
  new CodedError("Conflict", "Another process speaks for this pump, or it has left its result");
