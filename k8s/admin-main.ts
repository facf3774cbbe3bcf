import { messageOf } from "../model/errors.ts";
import { addressOf, type ClusterAccess } from "./client/kube-address.ts";
import { createCaller } from "./client/kube-call.ts";
import { connectKube } from "./client/kube.ts";
import { createServerClock } from "./client/server-clock.ts";
import { createNamespaceClaim } from "./launch/claim.ts";
import { problemOf, type NamespaceCheck } from "./namespace-check.ts";
import { purge } from "./purge.ts";

/**
 * One step of `tyger up` or `down` in a cluster, as a program of its own: the command line stays small without the client library. Takes
 * a request as JSON in its argument, and prints `{}` or `{"problem": "one sentence"}`.
 */
type Request = { access: ClusterAccess } & (
  | ({ op: "check" } & NamespaceCheck)
  | { op: "claim" | "purge"; namespace: string; isOwn: boolean; scope: string }
);

async function perform(request: Request): Promise<string | undefined> {
  if (request.op === "check") {
    const caller = createCaller(addressOf(request.access), createServerClock());
    return problemOf(caller, request);
  }
  const { access, namespace, isOwn, scope } = request;
  const kube = connectKube(access, namespace);
  if (request.op === "claim") await createNamespaceClaim({ kube, installationId: scope, isOwn })();
  else await purge(kube, scope);
  return undefined;
}

// Written by the stack of this very build.
const request = JSON.parse(process.argv[2] ?? "{}") as Request;
const problem = await perform(request).catch(messageOf);
process.stdout.write(`${JSON.stringify({ problem })}\n`);
