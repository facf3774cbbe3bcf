import { defineSearchAttributeKey, SearchAttributeType } from "@temporalio/common";

/** Registered at start; they filter runs in Temporal's Web UI. */
export const SEARCH_ATTRIBUTES = {
  /** A run status. */
  status: defineSearchAttributeKey("TygerStatus", SearchAttributeType.KEYWORD),
  /** `name/versions/N`, or `inline`. */
  codespec: defineSearchAttributeKey("TygerCodespec", SearchAttributeType.KEYWORD),
} as const;
