import { endClient, openClient } from "./client.ts";
import { answered } from "./failures.ts";

const ANSWER_WITHIN_MS = 5_000;

/**
 * Decides which of several workers reconciles: the one whose session holds the advisory lock. The lock lives as long as
 * the session, so a killed worker releases it at once and one that lost its connection takes it again.
 */
export function reconcilerLock(url: string): { take: () => Promise<boolean>; close: () => Promise<void> } {
  const client = openClient(url, { max: 1 });
  return {
    take: async () => {
      const query = client`select pg_try_advisory_lock(hashtextextended('tyger reconciler', 0)) as held
        where not exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())`;
      const [row] = await answered(query, ANSWER_WITHIN_MS);
      // No row: this session has it already; taking it again would only count up.
      return row === undefined || row["held"] === true;
    },
    close: () => endClient(client),
  };
}
