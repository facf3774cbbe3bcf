import { isInstant } from "./parse.ts";

/** Part of answers and signals to the workflow of a run. Wire. */
export interface Tagging {
  /** Until then the workflow can count on its search attributes; absent when the namespace does not have them. */
  tagUntil?: string;
}

export const taggingIn = ({ tagUntil }: Record<string, unknown>): Tagging => (isInstant(tagUntil) ? { tagUntil } : {});
