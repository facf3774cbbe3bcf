import type { Client } from "@temporalio/client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { searchAttributeCheck } from "../../temporal/search-attributes.ts";
import { SEARCH_ATTRIBUTES } from "../../workflows/search-attributes.ts";

const KEYWORD = 2;
const UNAVAILABLE = 14;
const PERMISSION_DENIED = 7;
const HAS_BOTH = Object.fromEntries(Object.values(SEARCH_ATTRIBUTES).map(({ name }) => [name, KEYWORD]));

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A namespace whose attributes, or whose refusal by gRPC's number, a test can change. */
function openNamespace() {
  const namespace = { answer: HAS_BOTH as Record<string, number> | number };
  const listSearchAttributes = async (): Promise<unknown> => {
    if (typeof namespace.answer !== "number") return { customAttributes: namespace.answer };
    throw Object.assign(new Error("refused"), { code: namespace.answer, details: "", metadata: {} });
  };
  const client = {
    options: { namespace: "default" },
    withDeadline: (_deadline: number, call: () => Promise<unknown>) => call(),
    connection: { operatorService: { listSearchAttributes } },
  };
  // The check uses these alone.
  return { namespace, check: searchAttributeCheck(client as unknown as Client) };
}

test("the last answer counts while Temporal does not answer, and not once it refuses", async () => {
  const { namespace, check } = openNamespace();
  const later = (): Promise<boolean> => {
    vi.advanceTimersByTime(6000);
    return check();
  };
  expect(await check()).toBe(true);
  namespace.answer = UNAVAILABLE;
  expect(await later()).toBe(true);
  namespace.answer = PERMISSION_DENIED;
  expect(await later()).toBe(false);
  namespace.answer = UNAVAILABLE;
  expect(await later()).toBe(false);
  namespace.answer = HAS_BOTH;
  expect(await later()).toBe(true);
  namespace.answer = {};
  expect(await later()).toBe(false);
});
