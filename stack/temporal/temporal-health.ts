import { callGrpc, textMessage } from "./grpc-call.ts";

const SERVICE = "temporal.api.workflowservice.v1.WorkflowService";
const SERVING = Buffer.from([0x08, 0x01]);
const PROBLEM_WITHIN_MS = 10_000;
const NOT_FOUND = 5;

/**
 * Uses the health check, because the port is open long before the server is ready.
 * @see https://grpc.io/docs/guides/health-checking
 */
export async function isTemporalServing(address: string, timeoutMs = 1000): Promise<boolean> {
  const answer = await callGrpc(address, "/grpc.health.v1.Health/Check", textMessage(SERVICE), timeoutMs);
  return answer?.message.equals(SERVING) ?? false;
}

/** Returns why the server cannot be used and what to do about it, or undefined if it can. */
export async function temporalProblem(
  address: string,
  namespace: string,
  withinMs = PROBLEM_WITHIN_MS,
): Promise<string | undefined> {
  const answer = await callGrpc(address, `/${SERVICE}/DescribeNamespace`, textMessage(namespace), withinMs);
  if (!answer) return "does not answer like a Temporal server; correct the address";
  if (answer.status !== NOT_FOUND) return undefined;
  return `has no namespace '${namespace}'; create it, or name another in TEMPORAL_NAMESPACE`;
}
