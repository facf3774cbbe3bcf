import { randomBytes } from "node:crypto";
import { base32 } from "../model/buffer/buffer.ts";
import { messageOf } from "../model/errors.ts";
import { addressOf, type ClusterAccess } from "./client/kube-address.ts";
import { createCaller } from "./client/kube-call.ts";
import { connectKube, isRefused } from "./client/kube.ts";
import { createServerClock } from "./client/server-clock.ts";
import { createNamespaceClaim } from "./launch/claim.ts";
import { problemOf, type NamespaceCheck } from "./namespace-check.ts";
import { probe, type ProbeRequest } from "./probe.ts";
import { purge } from "./purge.ts";

/**
 * One step of `tyger up` or `down` in a cluster, as a program of its own: the command line stays small without the client library. Takes
 * a request as JSON in its argument, and prints `{}`, `{"problem": "one sentence"}`, or the address that a probe has found.
 */
type Request = { access: ClusterAccess } & (
  | ({ op: "check" } & NamespaceCheck)
  | ({ op: "probe" } & NamespaceCheck & ProbeRequest)
  | { op: "claim" | "purge"; namespace: string; isOwn: boolean; scope: string }
);

interface Answer {
  problem?: string | undefined;
  address?: string;
}

async function perform(request: Request): Promise<Answer> {
  const { access, op } = request;
  if (op === "check") {
    return { problem: await problemOf(createCaller(addressOf(access), createServerClock()), request) };
  }
  if (op === "probe") return { address: await probeIn(request) };
  const { namespace, isOwn, scope } = request;
  const kube = connectKube(access, namespace);
  if (op === "claim") await createNamespaceClaim({ kube, installationId: scope, isOwn })();
  else await purge(kube, scope);
  return {};
}

/** Where a namespace can be created, a probe gets one of its own: the installation can have none yet. */
async function probeIn(request: Extract<Request, { op: "probe" }>): Promise<string> {
  const { access, namespace, isOwn } = request;
  const inGiven = (): Promise<string> => probe(connectKube(access, namespace ?? ""), request);
  if (!isOwn) return inGiven();
  const kube = connectKube(access, `tyger-probe-${base32(randomBytes(5))}`);
  try {
    await kube.createNamespace({});
  } catch (err) {
    if (namespace !== undefined && isRefused(err, 403)) return inGiven();
    throw err;
  }
  try {
    return await probe(kube, request);
  } finally {
    await kube.deleteNamespace({});
  }
}

// Written by the stack of this very build.
const request = JSON.parse(process.argv[2] ?? "{}") as Request;
const answer = await perform(request).catch((err: unknown): Answer => ({ problem: messageOf(err) }));
process.stdout.write(`${JSON.stringify(answer)}\n`);
