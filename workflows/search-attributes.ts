import { defineSearchAttributeKey, SearchAttributeType } from "@temporalio/common";
import type { RunStatus } from "../model/run/run.ts";

/** Registered at start; they filter runs in Temporal's Web UI. */
export const SEARCH_ATTRIBUTES = {
  /** A run status. */
  status: defineSearchAttributeKey("TygerStatus", SearchAttributeType.KEYWORD),
  /** `name/versions/N`, or `inline`. */
  codespec: defineSearchAttributeKey("TygerCodespec", SearchAttributeType.KEYWORD),
} as const;

/** The longest value that every visibility store of Temporal takes. */
const MAX_LENGTH = 255;

export const codespecShown = (codespecRef: string | undefined): string =>
  (codespecRef ?? "inline").slice(0, MAX_LENGTH);

export const searchAttributesOf = (status: RunStatus, codespecRef: string | undefined) => [
  { key: SEARCH_ATTRIBUTES.status, value: status },
  { key: SEARCH_ATTRIBUTES.codespec, value: codespecShown(codespecRef) },
];
