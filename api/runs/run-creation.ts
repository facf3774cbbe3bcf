import type { CodespecVersion, JobCodespec } from "../../model/codespec/codespec.ts";
import { checkCodespec } from "../../model/codespec/codespec-rules.ts";
import type { ComputeReader } from "../../model/ports/compute.ts";
import { CodedError } from "../../model/errors.ts";
import { quantityValue } from "../../model/codespec/quantity.ts";
import type { BufferRecords, CodespecRecords, RunRecords } from "../../model/ports/records.ts";
import type { JobTarget, Run } from "../../model/run/run.ts";
import type { CodespecChoice, RunInput } from "../../contract/run-schema.ts";
import type { BufferStore } from "../../model/ports/store.ts";
import { checkTags } from "../../model/tags.ts";
import { createBacklog } from "./backlog.ts";
import { LOCAL, newBufferId } from "../services/buffer-service.ts";
import { checkArgument, runBuffersOf } from "./run-arguments.ts";
import { shownRun } from "./run-view.ts";

export interface CreationPorts {
  runs: Pick<RunRecords, "create" | "findByKey" | "countOpen">;
  codespecs: CodespecRecords;
  buffers: BufferRecords;
  store: BufferStore;
  compute: ComputeReader;
  /** Told of each new run once it is stored; does not hold up the answer. */
  started(runId: number): void;
  maxOpenRuns: number;
}

export interface RunCreation {
  /** The run that was made with this key, also while it is being made. */
  findByKey(key: string): Promise<Run | undefined>;
  create(input: RunInput, key: string | undefined): Promise<Run>;
}

/** The part of `POST /runs` that makes runs; nothing is stored when a check fails. */
export function createRunCreation(ports: CreationPorts): RunCreation {
  const backlog = createBacklog(ports.runs, ports.maxOpenRuns);
  const inFlight = new Map<string, Promise<unknown>>();

  const findByKey = async (key: string): Promise<Run | undefined> => {
    await inFlight.get(key)?.catch(() => undefined);
    const run = await ports.runs.findByKey(key);
    return run && shownRun(run);
  };

  const make = async (input: RunInput, key: string | undefined): Promise<Run> => {
    checkRequest(input);
    const codespec = await resolveCodespec(ports.codespecs, input.job.codespec);
    checkCodespec(codespec);
    const { name, version, createdAt, ...frozen } = codespec;
    const nowMs = Date.now();
    const { ids, created, given } = runBuffersOf(frozen, input.job, { nowMs, newId: newBufferId, location: LOCAL });
    await Promise.all([
      backlog.check(),
      checkEngine(ports.compute, frozen),
      ...given.map(async (id) => checkArgument(id, await ports.buffers.find(id), nowMs)),
    ]);
    // Before the commit: whoever sees the ids may use them in the next moment.
    await Promise.all(created.map(({ id }) => ports.store.provision(id)));
    const { tags, bufferTtl, nodePool, replicas } = input.job;
    const job: JobTarget = {
      codespec: frozen,
      ...(Object.keys(ids).length > 0 && { buffers: ids }),
      ...(tags && { tags }),
      ...(bufferTtl !== undefined && { bufferTtl }),
      ...(nodePool !== undefined && { nodePool }),
      // Zero is written by leaving it out, as in every answer.
      ...(replicas !== 0 && { replicas }),
    };
    const stored = await ports.runs.create({
      job,
      timeoutSeconds: input.timeoutSeconds,
      ...(input.tags && { tags: input.tags }),
      bufferAccessTtl: input.bufferAccessTtl,
      newBuffers: created,
      idempotencyKey: key,
    });
    if (!stored.created) {
      await Promise.allSettled(created.map(({ id }) => ports.store.delete(id)));
      return shownRun(stored.run);
    }
    backlog.add();
    ports.started(stored.run.id);
    const run = shownRun(stored.run);
    // Only here the codespec still says which stored one it was.
    const origin = name === undefined ? {} : { name, version, createdAt };
    return { ...run, job: { ...run.job, codespec: { ...run.job.codespec, ...origin } } };
  };

  return {
    findByKey,
    async create(input, key) {
      if (key === undefined) return make(input, undefined);
      while (inFlight.has(key)) {
        const run = await findByKey(key);
        if (run !== undefined) return run;
      }
      const making = make(input, key);
      inFlight.set(key, making);
      try {
        return await making;
      } finally {
        inFlight.delete(key);
      }
    },
  };
}

function checkRequest(input: RunInput): void {
  if (input.kind === "system") throw new CodedError("InvalidInput", "A run of kind 'system' cannot be created");
  checkTags(input.tags);
  if (input.worker !== undefined) {
    throw new CodedError("InvalidInput", "Runs with a 'worker' are not supported by a server that runs on Docker");
  }
}

/** The codespec that a run names, or the one that it brings along. */
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

/** What the engine itself must have for the job to start; asked of it within the request. */
async function checkEngine(compute: ComputeReader, { image, resources }: JobCodespec): Promise<void> {
  const needsGpu = resources?.gpu !== undefined && quantityValue(resources.gpu) > 0;
  const [hasImage, hasGpu] = await Promise.all([compute.hasImage(image), needsGpu ? compute.hasGpu() : true]);
  if (!hasImage) {
    throw new CodedError(
      "InvalidInput",
      `The image '${image}' is not on this host; pull it first with 'docker pull ${image}' or pass --pull`,
    );
  }
  if (!hasGpu) {
    throw new CodedError("InvalidInput", `The codespec asks for '${resources?.gpu}' GPUs and this host has none`);
  }
}
