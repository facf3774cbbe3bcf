import { eq } from "drizzle-orm";
import { CodedError } from "../model/errors.ts";
import type { OutputClaim } from "../model/ports/records.ts";
import type { RunOutput } from "../model/run/outputs.ts";
import type { Db } from "./client.ts";
import { outputClaims } from "./schema.ts";

/**
 * Makes the buffers the outputs of the run, in the transaction that creates it. A transaction that claims one of them
 * at the same time is waited for.
 * @throws CodedError InvalidInput when another run has one, Unavailable when that run let it go at this moment
 */
export async function claimOutputs(tx: Db, runId: number, outputs: readonly RunOutput[]): Promise<void> {
  if (outputs.length === 0) return;
  // In one order, so that two runs with the same buffers do not wait for each other.
  const wanted = outputs.toSorted((a, b) => (a.bufferId < b.bufferId ? -1 : 1));
  const values = wanted.map(({ bufferId }) => ({ bufferId, runId }));
  const claimed = await tx.insert(outputClaims).values(values).onConflictDoNothing().returning();
  const taken = wanted.find(({ bufferId }) => !claimed.some((claim) => claim.bufferId === bufferId));
  if (!taken) return;
  const { bufferId, parameter } = taken;
  const [holder] = await tx.select().from(outputClaims).where(eq(outputClaims.bufferId, bufferId));
  if (!holder) throw new CodedError("Unavailable", `The buffer '${bufferId}' was in use at this moment; try again`);
  throw new CodedError(
    "InvalidInput",
    `The buffer '${bufferId}' is an output of the run '${holder.runId}', which has not ended; give the output '${parameter}' another one, or none`,
  );
}

export const findOutputClaims = (db: Db, runId: number): Promise<OutputClaim[]> =>
  db
    .select({ bufferId: outputClaims.bufferId, hasToken: outputClaims.hasToken })
    .from(outputClaims)
    .where(eq(outputClaims.runId, runId))
    .orderBy(outputClaims.bufferId);

export async function releaseOutputs(db: Db, runId: number): Promise<void> {
  await db.delete(outputClaims).where(eq(outputClaims.runId, runId));
}
