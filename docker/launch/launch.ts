import { randomBytes } from "node:crypto";
import { base32 } from "../../model/buffer/buffer.ts";
import { CodedError } from "../../model/errors.ts";
import type { LaunchClaim } from "../../model/ports/compute.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import { belongsToAnother } from "../../model/run/identity.ts";
import { containerNameOf, LABEL_INSTALLATION } from "../../model/run/names.ts";
import { pipesOf } from "../../model/run/pipes.ts";
import { writerOf } from "../../model/run/pump.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { settleAll } from "../../waiting/bounded.ts";
import { doubling, retry } from "../../waiting/retry.ts";
import { EngineRefusal } from "../engine/engine-call.ts";
import { startPump, type PumpCommandLine } from "../pump/pump-process.ts";
import { isThere, makeAttemptFolder } from "./attempt-folder.ts";
import { createOptionsOf } from "./container-spec.ts";
import { isContainerOf, runInLabels } from "./container-state.ts";
import { adopt, discard, fence } from "./fence.ts";
import { afterFailure, verdictOn, type Seen } from "./launch-plan.ts";
import { placePipes, type PlacePorts } from "./pump-access.ts";
import { attemptOf, folderOf, notStarted, observe, replicaOf, seenOf, type ReplicaPorts } from "./replica.ts";

export interface LaunchPorts extends ReplicaPorts, PlacePorts {
  pumpCommand: PumpCommandLine;
  /** The runtime for containers without GPUs, where the engine's default runtime would expose all of them. */
  runtimeWithoutGpu(): Promise<string | undefined>;
}

/** How long the name of what an earlier attempt left can stay taken, on an engine under load. */
const FREE_MS = 10_000;
const FREE_PAUSES = doubling(10, 500);

/**
 * Launches a replica at most once, however often it is called and by however many workers.
 * @throws CodedError LaunchFailed, Unavailable
 * @see docs/decisions/0020-launching-on-docker.md
 */
export async function launch(ports: LaunchPorts, run: RunRecord): Promise<ReplicaState> {
  const attempt = base32(randomBytes(10));
  const claim = await ports.claims.claim(run, ports.replica, attempt);
  if (!claim) return notStarted();
  const isOurs = claim.attempt === attempt;
  const canGo = claim.state === "claimed" && (isOurs || (await takeOver(ports, run, claim, attempt)));
  return canGo ? execute(ports, run, attempt) : observe(ports, run);
}

/** True when the unlaunched claim of an earlier attempt has become ours and nothing was started under it. */
async function takeOver(ports: LaunchPorts, run: RunRecord, claim: LaunchClaim, attempt: string): Promise<boolean> {
  const first = await fence(ports, run, claim);
  const verdict = verdictOn(claim, seenOf(first));
  if (verdict.kind === "adopt") await adopt(ports, run, claim.attempt, verdict.containerId);
  if (verdict.kind !== "discard") return false;
  if (!(await ports.claims.takeOver(run, ports.replica, claim.attempt, attempt))) return false;
  // Only now can that attempt record no more containers: one that was created since the first fence shows here.
  const second = await fence(ports, run, first ? { ...claim, containerId: first.Id } : claim);
  // One that was only made and has gone meanwhile was fenced: nothing came of it.
  return settleEarlier(ports, run, { attempt, earlier: claim.attempt, seen: seenOf(second) });
}

/** Adopts what an earlier attempt started (false), or undoes it (true); `attempt` holds the claim. */
async function settleEarlier(
  ports: LaunchPorts,
  run: RunRecord,
  { attempt, earlier, seen }: { attempt: string; earlier: string; seen: Seen },
): Promise<boolean> {
  const verdict = verdictOn({ attempt: earlier }, seen);
  if (verdict.kind === "adopt") await adopt(ports, run, attempt, verdict.containerId);
  if (verdict.kind === "discard") await discard(ports, run, verdict);
  return verdict.kind === "discard";
}

/** Carries out an attempt that holds the claim. */
async function execute(ports: LaunchPorts, run: RunRecord, attempt: string): Promise<ReplicaState> {
  const { engine, claims, pumpCommand, replica } = ports;
  const folder = folderOf(ports, run, attempt);
  const pipes = pipesOf(run);
  let containerId: string | undefined;
  try {
    const writer = writerOf(run, replica);
    await makeAttemptFolder(folder, { runId: run.id, pipes: await placePipes(ports, run, pipes), writer });
    [containerId] = await settleAll([
      create(ports, run, attempt),
      pipes.length > 0 ? startPump(pumpCommand, folder) : undefined,
    ]);
    if (containerId === undefined || !(await claims.recordContainer(run, replica, attempt, containerId))) {
      await discard(ports, run, { attempts: [attempt], ...(containerId !== undefined && { containerId }) });
      return await observe(ports, run);
    }
    await engine.start(containerId);
  } catch (err) {
    return endFailed(ports, run, { attempt, containerId, err });
  }
  await claims.recordLaunched(run, replica, attempt);
  const info = await engine.inspect(containerId);
  return info ? replicaOf(ports, run, info) : observe(ports, run);
}

/** Ends an attempt that failed. @throws its error, unless another attempt or a removal has the run */
async function endFailed(
  ports: LaunchPorts,
  run: RunRecord,
  { attempt, containerId, err }: { attempt: string; containerId: string | undefined; err: unknown },
): Promise<ReplicaState> {
  const claim = await ports.claims.find(run, ports.replica);
  const isClaimed = claim?.attempt === attempt && claim.state === "claimed";
  const next = afterFailure({
    isOurs: isClaimed && (await isThere(folderOf(ports, run, attempt))),
    isFinal: err instanceof EngineRefusal || (err instanceof CodedError && err.code !== "Unavailable"),
  });
  if (next === "keep") throw err;
  await discard(ports, run, { attempts: [attempt], ...(containerId !== undefined && { containerId }) });
  if (next === "report") return observe(ports, run);
  if (!(err instanceof EngineRefusal)) throw err;
  throw new CodedError("LaunchFailed", reasonOf(err, run), { cause: err });
}

/** Makes the container; undefined when one of this replica turned up that was started already. */
async function create(ports: LaunchPorts, run: RunRecord, attempt: string): Promise<string | undefined> {
  const { engine, installationId, replica } = ports;
  const name = containerNameOf(installationId, run.id, replica);
  const runtimeWithoutGpu = await ports.runtimeWithoutGpu();
  const place = { installationId, replica, attempt, folder: folderOf(ports, run, attempt), runtimeWithoutGpu };
  const spec = createOptionsOf(run, place);
  const createOnce = async (): Promise<string | undefined> => {
    try {
      return await engine.create(name, spec);
    } catch (err) {
      if (!isNameTaken(err)) throw err;
      if (!(await isNameFree(ports, run, attempt))) return undefined;
      throw new CodedError("Unavailable", `The container name '${name}' is still taken`, { cause: err });
    }
  };
  const passes = (err: unknown): boolean => err instanceof CodedError && isNameTaken(err.cause);
  return retry(createOnce, { pauses: FREE_PAUSES, outageMs: FREE_MS, passes });
}

/** The engine knows a name before its container can be inspected, and until the container is wholly removed. */
const isNameTaken = (err: unknown): boolean => err instanceof EngineRefusal && err.statusCode === 409;

/**
 * Frees the name of the container: we hold the claim, so what has it is what an attempt before us left behind. False when
 * that was started, and has been adopted.
 * @throws CodedError LaunchFailed when it is not ours
 */
async function isNameFree(ports: LaunchPorts, run: RunRecord, attempt: string): Promise<boolean> {
  const name = containerNameOf(ports.installationId, run.id, ports.replica);
  const other = await ports.engine.inspect(name);
  if (!other) return true;
  if (!isContainerOf(other, ports.installationId, run, ports.replica)) {
    const isOfInstallation = other.Config.Labels[LABEL_INSTALLATION] === ports.installationId;
    const isNumbered = isOfInstallation && runInLabels(other.Config.Labels)?.id === run.id;
    const reason = isNumbered
      ? belongsToAnother(`The container '${name}'`, run.id)
      : `The container name '${name}' is taken by a container that is not ours`;
    throw new CodedError("LaunchFailed", reason);
  }
  const earlier = attemptOf(other);
  const seen = seenOf(await fence(ports, run, { attempt: earlier, containerId: other.Id }));
  return settleEarlier(ports, run, { attempt, earlier, seen });
}

function reasonOf(refusal: EngineRefusal, run: RunRecord): string {
  const { image } = run.job.codespec;
  if (/no such image/i.test(refusal.message)) return `The image '${image}' is no longer on the host of the engine`;
  const [, program] = /exec: "(.+?)": .*(?:not found|no such file)/.exec(refusal.message) ?? [];
  if (program !== undefined) return `The program '${program}' is not in the image '${image}': ${refusal.message}`;
  return `The container could not be started: ${refusal.message}`;
}
