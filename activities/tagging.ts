import type { Tagging } from "../model/run/tagging.ts";

/** For how long a workflow relies on search attributes that were there: a task that sets a removed one is repeated until then. */
const TAG_MS = 10_000;

/** Says how long a workflow can set its search attributes. `has`: whether the namespace has them at this moment. */
export const taggingOf = async (has: () => Promise<boolean>): Promise<Tagging> =>
  (await has()) ? { tagUntil: new Date(Date.now() + TAG_MS).toISOString() } : {};
