import { randomUUID } from "node:crypto";
import type { Run } from "../../model/run/run.ts";
import type { Client } from "../server/client.ts";
import type { RunRequest } from "./run-request.ts";

/** Creates a run, once, however often the request has to be repeated. */
export async function createRun(client: Client, body: RunRequest): Promise<Run> {
  const { value } = await client.json<Run>({
    method: "POST",
    path: "/runs",
    body,
    headers: { "Idempotency-Key": randomUUID() },
    isRepeatable: true,
  });
  return value;
}
