import type { Client } from "@temporalio/client";
import { SEARCH_ATTRIBUTES } from "../workflows/search-attributes.ts";

/** Whether the namespace knows our search attributes: a workflow that sets unknown ones fails. */
export async function hasSearchAttributes(client: Client): Promise<boolean> {
  try {
    const known = await client.connection.operatorService.listSearchAttributes({ namespace: client.options.namespace });
    return Object.values(SEARCH_ATTRIBUTES).every(({ name }) => known.customAttributes?.[name] !== undefined);
  } catch {
    // A namespace that does not let us ask will not let us upsert either.
    return false;
  }
}
