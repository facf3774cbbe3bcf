import type postgres from "postgres";
import { messageOf } from "../model/errors.ts";
import { endClient, openClient, type DatabaseServer } from "./client.ts";
import { answered, unavailable } from "./failures.ts";

const CHECK_EVERY_MS = 5_000;
const RETRY_AFTER_MS = 250;
const ANSWER_WITHIN_MS = 5_000;

/** Triggers notify on these. */
export type Channel = "tyger_runs" | "tyger_pumps";

/**
 * Listens to a channel of notifications on a connection of its own. The driver's `listen` gives up silently when the server
 * is not back at once, and does not notice a dead connection: here the subscription is renewed every few seconds,
 * which costs nothing while it holds. After each loss `heard(undefined)` reports that notifications can be missing.
 */
export async function listenTo(
  channel: Channel,
  server: DatabaseServer,
  heard: (payload: string | undefined) => void,
): Promise<{ close(): Promise<void> }> {
  let isClosed = false;
  let mayHaveMissed = false;
  let timer: NodeJS.Timeout | undefined;
  let client = open();

  function open(): postgres.Sql {
    const opened: postgres.Sql = openClient(server, {
      max: 1,
      onnotify: (_channel, payload) => heard(payload),
      onclose: () => {
        if (opened !== client || isClosed) return;
        mayHaveMissed = true;
        checkAfter(0);
      },
    });
    return opened;
  }

  const subscribe = async (): Promise<void> => {
    await answered(client.unsafe(`listen ${channel}`), ANSWER_WITHIN_MS);
    if (!mayHaveMissed) return;
    mayHaveMissed = false;
    heard(undefined);
  };

  const check = async (): Promise<void> => {
    try {
      await subscribe();
      checkAfter(CHECK_EVERY_MS);
    } catch {
      // No answer can also mean that the connection is dead without having noticed; a fresh one is not.
      mayHaveMissed = true;
      const lost = client;
      client = open();
      checkAfter(RETRY_AFTER_MS);
      await endClient(lost);
    }
  };

  const checkAfter = (ms: number): void => {
    clearTimeout(timer);
    if (!isClosed) timer = setTimeout(() => void check(), ms);
  };

  const close = async (): Promise<void> => {
    isClosed = true;
    clearTimeout(timer);
    await endClient(client);
  };

  try {
    await subscribe();
  } catch (err) {
    await close();
    throw unavailable(messageOf(err));
  }
  checkAfter(CHECK_EVERY_MS);
  return { close };
}
