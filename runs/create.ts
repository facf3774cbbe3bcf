import type { Caller } from "../model/caller.ts";
import { checkCodespec, checkCodespecSize } from "../model/codespec/codespec-rules.ts";
import { codespecRefOf, type CodespecVersion, type JobCodespec } from "../model/codespec/codespec.ts";
import { CodedError } from "../model/errors.ts";
import type { BufferRecords, CodespecRecords, OwnedKey, RunRecords } from "../model/ports/records.ts";
import type { BufferStores } from "../model/ports/store.ts";
import type { BackgroundCalls } from "../model/ports/workflows.ts";
import { replicaCountOf } from "../model/run/replicas.ts";
import type { CodespecChoice, JobTarget, Run, RunRequest } from "../model/run/run.ts";
import { checkTags } from "../model/tags.ts";
import { createBacklog } from "./backlog.ts";
import { checkArgument, settleBuffers } from "./buffers.ts";
import { chooseCluster, type Clusters } from "./clusters.ts";
import type { ModeChecks } from "./mode-checks.ts";
import { checkUnwritten } from "./outputs.ts";
import { checkReplicas } from "./replicas.ts";

export interface CreationPorts {
  runs: Pick<RunRecords, "create" | "findByKey" | "countOpen">;
  codespecs: CodespecRecords;
  buffers: BufferRecords;
  store: BufferStores;
  clusters: Clusters<{ name: string; checkMode: ModeChecks }>;
  workflows: Pick<BackgroundCalls, "start">;
  maxOpenRuns: number;
}

export interface RunCreation {
  /** The run that this caller created with this key. Waits for one that the caller is creating. */
  findByKey(caller: Caller, key: string): Promise<Run | undefined>;
  /** @throws CodedError InvalidInput, Unavailable */
  create(caller: Caller, request: RunRequest, key: string | undefined): Promise<Run>;
}

/** Creates runs. Nothing is stored when a check fails; the answer does not wait for the workflow. */
export function createRunCreation(ports: CreationPorts): RunCreation {
  const backlog = createBacklog(ports.runs, ports.maxOpenRuns);
  const inFlight = new Map<string, Promise<unknown>>();
  // Two callers with one key must not wait for each other.
  const flightOf = ({ owner, text }: OwnedKey): string => JSON.stringify([owner, text]);

  const find = async (key: OwnedKey): Promise<Run | undefined> => {
    await inFlight.get(flightOf(key))?.catch(() => undefined);
    return ports.runs.findByKey(key);
  };

  const make = async (request: RunRequest, key: OwnedKey | undefined): Promise<Run> => {
    checkRequest(request);
    const codespec = await resolveCodespec(ports.codespecs, request.job.codespec);
    checkCodespec(codespec);
    const cluster = chooseCluster(ports.clusters, request.cluster);
    const { name, version, createdAt, ...frozen } = codespec;
    const replicaCount = replicaCountOf(request.job.replicas);
    checkReplicas(replicaCount, frozen);
    const nowMs = Date.now();
    const { ids, created, given, givenOutputs } = settleBuffers(frozen, request.job, {
      nowMs,
      location: ports.store.locations[0],
    });
    await Promise.all([
      backlog.check(),
      cluster.checkMode(request, frozen),
      ...given.map(async (id) => checkArgument(id, await ports.buffers.find(id), nowMs)),
    ]);
    await Promise.all(givenOutputs.map((output) => checkUnwritten(ports.store, output)));
    // Before the commit: a client that sees the ids can use them in the next moment.
    await Promise.all(created.map(({ id, location }) => ports.store.at(location).provision(id)));
    // The rest is stored as the request has it. These two concern only modes that have them, after their checks.
    const { kind: _kind, worker: _worker, ...stated } = request;
    const unprovision = () =>
      Promise.allSettled(created.map(({ id, location }) => ports.store.at(location).delete(id)));
    const creating = ports.runs.create({
      ...stated,
      cluster: cluster.name,
      job: jobOf(frozen, ids, request.job),
      ...(name !== undefined && version !== undefined && { codespecRef: codespecRefOf(name, version) }),
      replicaCount,
      newBuffers: created,
      idempotencyKey: key,
    });
    const stored = await creating.catch(async (err: unknown) => {
      // After another failure the run can be there all the same.
      if (err instanceof CodedError && err.code === "InvalidInput") await unprovision();
      throw err;
    });
    if (!stored.created) {
      await unprovision();
      return stored.run;
    }
    backlog.add();
    ports.workflows.start(stored.run);
    // Only the answer to the creation says which stored codespec it was.
    const origin = name === undefined ? {} : { name, version, createdAt };
    const { job } = stored.run;
    return { ...stored.run, job: { ...job, codespec: { ...job.codespec, ...origin } } };
  };

  return {
    findByKey: ({ subject }, text) => find({ owner: subject, text }),
    async create({ subject }, request, text) {
      if (text === undefined) return make(request, undefined);
      const key = { owner: subject, text };
      const flight = flightOf(key);
      while (inFlight.has(flight)) {
        const run = await find(key);
        if (run !== undefined) return run;
      }
      const making = make(request, key).catch(async (err: unknown) => {
        // The refusal can come from the run that another API process has created with the same key.
        const first = await ports.runs.findByKey(key).catch(() => undefined);
        if (first === undefined) throw err;
        return first;
      });
      inFlight.set(flight, making);
      try {
        return await making;
      } finally {
        inFlight.delete(flight);
      }
    },
  };
}

function checkRequest({ kind, tags, job, worker }: RunRequest): void {
  if (kind === "system") throw new CodedError("InvalidInput", "A run of kind 'system' cannot be created");
  checkTags(tags);
  for (const choice of [job.codespec, worker?.codespec]) {
    if (choice !== undefined && "inline" in choice) checkCodespecSize(choice.inline);
  }
}

function jobOf(
  codespec: JobCodespec,
  buffers: Record<string, string>,
  { codespec: _choice, buffers: _given, ...stated }: RunRequest["job"],
): JobTarget {
  return { codespec, ...(Object.keys(buffers).length > 0 && { buffers }), ...stated };
}

/** The codespec that a run names or contains. */
async function resolveCodespec(
  codespecs: CodespecRecords,
  choice: CodespecChoice,
): Promise<JobCodespec & Partial<Pick<CodespecVersion, "name" | "version" | "createdAt">>> {
  const codespec = "inline" in choice ? choice.inline : await findCodespec(codespecs, choice);
  if (codespec.kind === "job") return codespec;
  throw new CodedError("InvalidInput", `A codespec of kind '${codespec.kind}' cannot be the codespec of a job`);
}

async function findCodespec(
  codespecs: CodespecRecords,
  { name, version }: { name: string; version?: number },
): Promise<CodespecVersion> {
  const isAskable = version === undefined || version < 2 ** 31;
  const found = isAskable ? await codespecs.find(name, version) : undefined;
  if (found !== undefined) return found;
  const latest = version === undefined ? undefined : await codespecs.find(name);
  throw new CodedError(
    "InvalidInput",
    latest === undefined
      ? `The codespec '${name}' was not found`
      : `The version '${version}' of the codespec '${name}' was not found; the latest version is '${latest.version}'`,
  );
}
