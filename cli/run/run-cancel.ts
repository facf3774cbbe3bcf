import type { Run } from "../../model/run/run.ts";
import type { Client } from "../server/client.ts";

/** Asks the server to cancel a run; a run that has ended comes back as it is. */
export async function cancelRun(client: Client, id: string | number, signal?: AbortSignal): Promise<Run> {
  const { value } = await client.json<Run>({
    method: "POST",
    path: `/runs/${encodeURIComponent(id)}/cancel`,
    isRepeatable: true,
    ...(signal && { signal }),
  });
  return value;
}
